package main

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// permanent is an error that repeating does not mend.
type permanent struct{ error }

// errNotYet is the failure of a look that did not find what it is for.
var errNotYet = errors.New("not yet")

// repeat does something every tick until it succeeds: etcd refuses membership changes for a while, and says so.
func repeat(ctx context.Context, what string, do func(context.Context) error) error {
	start := time.Now()
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	ticker := time.NewTicker(tick)
	defer ticker.Stop()
	var last error
	for {
		err := attempt(ctx, do)
		if err == nil {
			return nil
		}
		if last == nil || ctx.Err() == nil {
			last = err // not that of an attempt that the deadline cut off
		}
		var p permanent
		if errors.As(err, &p) {
			return fmt.Errorf("%s: %w", what, p.error)
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return fmt.Errorf("%s: not in %s, last: %w", what, time.Since(start).Round(time.Second), last)
		}
	}
}

// attempt bounds one try by more than the 7 s after which etcd gives up a change of the membership (server/config,
// ReqTimeout), so that its own answer arrives.
func attempt(ctx context.Context, do func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	return do(ctx)
}
