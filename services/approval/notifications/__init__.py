"""Tells people outside of the platform about escalations: mail, chat, pager, webhook."""
