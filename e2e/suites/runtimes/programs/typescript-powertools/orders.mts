/** Takes orders: structured log, business metrics and trace by Powertools' middleware. */
import { Logger } from "@aws-lambda-powertools/logger";
import { injectLambdaContext } from "@aws-lambda-powertools/logger/middleware";
import { Metrics, MetricUnit } from "@aws-lambda-powertools/metrics";
import { logMetrics } from "@aws-lambda-powertools/metrics/middleware";
import { Tracer } from "@aws-lambda-powertools/tracer";
import { captureLambdaHandler } from "@aws-lambda-powertools/tracer/middleware";
import middy from "@middy/core";

const logger = new Logger({ serviceName: "orders", persistentKeys: { region: process.env.AWS_REGION } });
const metrics = new Metrics({ namespace: "Shop", serviceName: "orders" });
const tracer = new Tracer({ serviceName: "orders" });

interface Order {
  id: string;
  items: { article: string; quantity: number; cents: number }[];
}

async function takeOrder({ id, items }: Order): Promise<{ id: string; cents: number; articles: string[] }> {
  logger.appendKeys({ order_id: id });
  if (items.length === 0) throw new RangeError(`order ${id} is empty`);
  const cents = items.reduce((sum, item) => sum + item.quantity * item.cents, 0);
  metrics.addDimension("channel", "web");
  metrics.addMetric("OrdersTaken", MetricUnit.Count, 1);
  metrics.addMetric("Revenue", MetricUnit.NoUnit, cents);
  metrics.addMetadata("order_id", id);
  logger.info("order taken", { cents, lines: items.length });
  return { id, cents, articles: items.map(({ article }) => article).sort() };
}

export const handler = middy(takeOrder)
  .use(injectLambdaContext(logger, { resetKeys: true }))
  .use(logMetrics(metrics, { captureColdStartMetric: true }))
  .use(captureLambdaHandler(tracer));
