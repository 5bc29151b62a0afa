"""Where the README's numbers come from. Imports the service; nothing imports this."""
