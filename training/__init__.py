"""The offline job that makes the artifacts which the service serves. Imports from `service`, never the reverse."""
