"""The mail catcher: receives email by SMTP and texts by HTTP on a developer's machine or a test system, keeps them, and
shows them. It replaces the mail server and the SMS provider of a production system.
"""
