"""The least that a FastAPI route can do: it reads the body and answers 202. `POST /order` is compared with it."""

import sys
from typing import Any

import uvicorn
from fastapi import FastAPI

app = FastAPI()


@app.get("/readyz")
async def readyz() -> dict[str, str]:
    """Answer that the program is ready."""
    return {"status": "ready"}


@app.post("/order", status_code=202)
async def order(body: dict[str, Any]) -> dict[str, str]:
    """Accept an order without storing anything."""
    return {"id": "00000000-0000-0000-0000-000000000000", "status": "PENDING", "customer": str(len(body))}


if __name__ == "__main__":
    uvicorn.run(
        app,
        host="127.0.0.1",
        port=int(sys.argv[1]),
        access_log=False,
        log_level="warning",
        timeout_keep_alive=620,  # as in the order service: the load generator keeps its connections
    )
