"""The studio's server: app (routes, lifespan), protocol (messages), guard (who may ask), routes/, studio/ (page)."""
