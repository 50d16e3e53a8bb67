// The function of every cell, written as a user of aws-lambda-go writes one.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"syscall"
	"time"

	"github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-lambda-go/lambdacontext"
)

type request struct {
	Kind string `json:"kind"`
	N    int    `json:"n"`
	Size int    `json:"size"`
	Ms   int    `json:"ms"`
}

type noSuchLuck struct{}

func (noSuchLuck) Error() string { return "no such luck" }

func handle(ctx context.Context, event json.RawMessage) (any, error) {
	var asked request
	// An event of another kind is echoed.
	_ = json.Unmarshal(event, &asked)
	switch asked.Kind {
	case "error":
		return nil, noSuchLuck{}
	case "panic":
		panic(noSuchLuck{})
	case "sleep":
		time.Sleep(time.Duration(asked.Ms) * time.Millisecond)
	case "large":
		return strings.Repeat("x", asked.Size-2), nil
	case "exit":
		os.Exit(3)
	case "crash":
		// Go's own runtime turns every signal but this one into a panic.
		if err := syscall.Kill(os.Getpid(), syscall.SIGKILL); err != nil {
			return nil, err
		}
		select {}
	case "unserialisable":
		return map[string]any{"channel": make(chan int)}, nil
	case "deadline":
		deadline, _ := ctx.Deadline()
		first := time.Until(deadline).Milliseconds()
		time.Sleep(100 * time.Millisecond)
		return []int64{first, time.Until(deadline).Milliseconds()}, nil
	case "context":
		known, _ := lambdacontext.FromContext(ctx)
		return map[string]any{"custom": known.ClientContext.Custom, "client": known.ClientContext.Client.AppTitle}, nil
	case "trace":
		return ctx.Value("x-amzn-trace-id"), nil
	case "warm":
		return map[string]any{"n": asked.N, "stream": lambdacontext.LogStreamName}, nil
	case "starts":
		lines, err := os.ReadFile(startsFile)
		return strings.Fields(string(lines)), err
	}
	return event, nil
}

const startsFile = "/tmp/starts"

func note(what string) {
	file, err := os.OpenFile(startsFile, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		panic(err)
	}
	defer file.Close()
	fmt.Fprintln(file, what)
}

func main() {
	switch os.Getenv("INIT") {
	case "fail":
		panic("no such luck")
	case "slow":
		note("begun")
		time.Sleep(11 * time.Second)
		note("done")
	}
	lambda.Start(handle)
}
