"""The server a student would write: FastAPI, a dictionary, one lock, a JSON file rewritten at every change.

`python -m benchmarks.student_server PORT FILE`. A peer of the benchmarks, written as such servers are: errors for
missing keys, PUT without a value refused, every operation logged with its time.
"""

from __future__ import annotations

import json
import logging
import sys
import threading
from pathlib import Path

import uvicorn
from fastapi import FastAPI, HTTPException, Request

app = FastAPI()
lock = threading.Lock()
data: dict[str, str] = {}
file = Path("data.json")
log = logging.getLogger("student")


def save() -> None:
    file.write_text(json.dumps(data))


@app.get("/keys/{key}")
def get_key(key: str) -> dict[str, str]:
    log.info("GET %s", key)
    with lock:
        if key not in data:
            raise HTTPException(404, "no such key")
        return {"value": data[key]}


@app.put("/keys/{key}")
async def put_key(key: str, request: Request) -> dict[str, str]:
    value = (await request.body()).decode()
    if not value:
        raise HTTPException(400, "a value is missing")
    log.info("PUT %s", key)
    with lock:
        data[key] = value
        save()
    return {"key": key}


@app.delete("/keys/{key}")
def delete_key(key: str) -> dict[str, str]:
    log.info("DELETE %s", key)
    with lock:
        if data.pop(key, None) is None:
            raise HTTPException(404, "no such key")
        save()
    return {"key": key}


def main() -> None:
    global file
    port, file = int(sys.argv[1]), Path(sys.argv[2])
    logging.basicConfig(filename=file.with_suffix(".log"), format="%(asctime)s %(message)s", level=logging.INFO)
    if file.exists():
        data.update(json.loads(file.read_text()))
    uvicorn.run(app, host="127.0.0.1", port=port, log_level="warning", access_log=False)


if __name__ == "__main__":
    main()
