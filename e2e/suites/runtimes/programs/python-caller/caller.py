"""Invokes another function with what boto3 finds in the environment, and says what came of it."""
import json
import os

import boto3
from botocore.exceptions import ClientError

client = boto3.client("lambda")


def handler(event, context):
    try:
        answer = client.invoke(FunctionName=event["target"], Payload=json.dumps(event["event"]))
    except ClientError as error:
        return {
            "exception": type(error).__name__,
            "code": error.response["Error"]["Code"],
            "message": error.response["Error"]["Message"],
            "status": error.response["ResponseMetadata"]["HTTPStatusCode"],
        }
    return {
        "status": answer["StatusCode"],
        "payload": json.loads(answer["Payload"].read()),
        "trace": os.environ["_X_AMZN_TRACE_ID"],
        "sdk": boto3.__file__,
    }
