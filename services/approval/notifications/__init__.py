"""Notifications about escalations to people outside of the platform: mail, chat, pager, webhook."""
