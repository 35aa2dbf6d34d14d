# One connection of pyrqlite, driven by lines of JSON: the first line of standard input says where and as whom, every further line is one call, every answer one line.
import json
import ssl
import sys

import pyrqlite.dbapi2 as dbapi2


def call(connection, order):
    with connection.cursor() as cursor:
        if order["call"] == "query":
            cursor.execute(order["sql"], order["parameters"], consistency=order.get("level"))
            names = [column[0] for column in cursor.description or ()]
            return {"rows": [dict(zip(names, row)) for row in cursor.fetchall()]}
        if order["call"] == "execute":
            cursor.execute(order["sql"], order["parameters"], queue=order["queue"], wait=order["wait"])
            return {"lastrowid": cursor.lastrowid}
        cursor.executemany(order["sql"], order["rows"])
        return {"rowcount": cursor.rowcount}


def main():
    about = json.loads(sys.stdin.readline())
    connection = dbapi2.connect(
        scheme="https",
        host="127.0.0.1",
        port=about["port"],
        user=about["username"],
        password=about["password"],
        ssl_context=ssl.create_default_context(cafile=about["caFile"]),
    )
    for line in iter(sys.stdin.readline, ""):
        try:
            answer = call(connection, json.loads(line))
        except Exception as error:
            answer = {"error": "%s: %s" % (type(error).__name__, error)}
        print(json.dumps(answer), flush=True)


main()
