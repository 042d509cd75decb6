"""The mail catcher: receives email by SMTP and texts by HTTP on a developer's machine or a test system, keeps them, and
shows them. It takes the place that a mail server and an SMS provider have in production.
"""
