// Makes an invoice of an order, with AWS's package for functions in Go.
package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"sort"
	"time"

	"github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-lambda-go/lambdacontext"
)

// Order is the event.
type Order struct {
	ID      string    `json:"id"`
	Ordered time.Time `json:"ordered"`
	Items   []Item    `json:"items"`
}

// Item is one line of an order.
type Item struct {
	Article  string `json:"article"`
	Quantity int    `json:"quantity"`
	Cents    int64  `json:"cents"`
}

// Invoice is the answer.
type Invoice struct {
	ID    string           `json:"id"`
	Due   time.Time        `json:"due"`
	Cents int64            `json:"cents"`
	Lines map[string]int64 `json:"lines"`
	Best  []string         `json:"best"`
	// Caller is what the invocation's context says; nothing when there is none.
	Caller *Caller `json:"caller,omitempty"`
}

// Caller is taken from the invocation's context.
type Caller struct {
	RequestID string            `json:"requestId"`
	ARN       string            `json:"arn"`
	Function  string            `json:"function"`
	Version   string            `json:"version"`
	MemoryMB  int               `json:"memoryMB"`
	Custom    map[string]string `json:"custom"`
	// HasTime tells whether the deadline lies ahead.
	HasTime bool `json:"hasTime"`
}

// EmptyOrder is the error for an order without items; its name is the errorType that a caller sees.
type EmptyOrder struct{ ID string }

func (e EmptyOrder) Error() string { return fmt.Sprintf("order %s is empty", e.ID) }

func invoice(ctx context.Context, order Order) (*Invoice, error) {
	if len(order.Items) == 0 {
		return nil, EmptyOrder{order.ID}
	}
	made := Invoice{ID: order.ID, Due: order.Ordered.AddDate(0, 0, 14), Lines: map[string]int64{}, Caller: caller(ctx)}
	for _, item := range order.Items {
		made.Lines[item.Article] += int64(item.Quantity) * item.Cents
		made.Cents += int64(item.Quantity) * item.Cents
	}
	for article := range made.Lines {
		made.Best = append(made.Best, article)
	}
	sort.Slice(made.Best, func(i, j int) bool {
		a, b := made.Best[i], made.Best[j]
		return made.Lines[a] > made.Lines[b] || made.Lines[a] == made.Lines[b] && a < b
	})
	made.Best = made.Best[:min(3, len(made.Best))]
	return &made, nil
}

func caller(ctx context.Context) *Caller {
	about, ok := lambdacontext.FromContext(ctx)
	if !ok {
		return nil
	}
	deadline, ok := ctx.Deadline()
	return &Caller{
		RequestID: about.AwsRequestID,
		ARN:       about.InvokedFunctionArn,
		Function:  lambdacontext.FunctionName,
		Version:   lambdacontext.FunctionVersion,
		MemoryMB:  lambdacontext.MemoryLimitInMB,
		Custom:    about.ClientContext.Custom,
		HasTime:   ok && time.Until(deadline) > 0,
	}
}

func main() {
	if len(os.Args) > 1 && os.Args[1] == "local" {
		answerHere()
		return
	}
	lambda.Start(invoice)
}

// answerHere gives the event on standard input to the same handler, through the same package, without a Runtime API.
func answerHere() {
	event, err := io.ReadAll(os.Stdin)
	if err != nil {
		panic(err)
	}
	answer, err := lambda.NewHandler(invoice).Invoke(context.Background(), event)
	if err != nil {
		panic(err)
	}
	os.Stdout.Write(answer)
}
