"""The inbox: receives email by SMTP and texts by HTTP on a developer's machine or a test system, keeps them, and shows
them. It stands where a mail provider and an SMS provider stand in production, and is no part of the product itself.
"""
