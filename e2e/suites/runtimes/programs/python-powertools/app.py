"""A shop's HTTP API: routes, validation, structured log and business metrics by Powertools for AWS Lambda."""
from typing import Annotated

from aws_lambda_powertools import Logger, Metrics, Tracer
from aws_lambda_powertools.event_handler import APIGatewayHttpResolver
from aws_lambda_powertools.event_handler.exceptions import NotFoundError
from aws_lambda_powertools.event_handler.openapi.params import Path
from aws_lambda_powertools.logging import correlation_paths
from aws_lambda_powertools.metrics import MetricUnit
from pydantic import BaseModel, Field

logger = Logger(service="shop")
metrics = Metrics(namespace="Shop", service="shop")
tracer = Tracer(service="shop")
app = APIGatewayHttpResolver(enable_validation=True)


class Item(BaseModel):
    article: str = Field(min_length=1)
    quantity: int = Field(gt=0)
    cents: int = Field(ge=0)


class Order(BaseModel):
    id: str
    items: list[Item] = Field(min_length=1)


@app.post("/orders")
@tracer.capture_method
def take_order(order: Order) -> dict:
    cents = sum(item.quantity * item.cents for item in order.items)
    metrics.add_dimension(name="channel", value="web")
    metrics.add_metric(name="OrdersTaken", unit=MetricUnit.Count, value=1)
    metrics.add_metric(name="Revenue", unit=MetricUnit.Count, value=cents)
    logger.append_keys(order_id=order.id)
    logger.info("order taken", extra={"cents": cents, "lines": len(order.items)})
    return {"id": order.id, "cents": cents, "articles": sorted(item.article for item in order.items)}


@app.get("/orders/<order_id>")
def get_order(order_id: Annotated[str, Path(max_length=8)]) -> dict:
    raise NotFoundError(f"there is no order {order_id}")


@logger.inject_lambda_context(correlation_id_path=correlation_paths.API_GATEWAY_HTTP, clear_state=True)
@tracer.capture_lambda_handler
@metrics.log_metrics(capture_cold_start_metric=True)
def handler(event, context):
    return app.resolve(event, context)
