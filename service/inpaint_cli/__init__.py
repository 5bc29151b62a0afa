"""`moebius inpaint`: one photo or a folder of them, filled in this process or by a service."""

from service.inpaint_cli.command import EXAMPLES, inpaint

__all__ = ["EXAMPLES", "inpaint"]
