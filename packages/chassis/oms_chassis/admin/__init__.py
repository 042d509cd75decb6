"""The admin API, through which operators inspect and repair a service, and which logs who did what."""
