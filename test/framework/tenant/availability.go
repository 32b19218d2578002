package tenant

import (
	"context"
	"fmt"
	"sync"
	"time"

	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"github.com/quorate/quorate/test/framework"
)

const (
	// pollPeriod is the time between two looks at /readyz.
	pollPeriod = 100 * time.Millisecond
	// pollTimeout is when an answer is given up.
	pollTimeout = 5 * time.Second
)

// Timeline is when something succeeded. It is safe for concurrent use.
type Timeline struct {
	mu        sync.Mutex
	successes []time.Time
	failures  int
	last      error
}

// Succeeded records a success now.
func (l *Timeline) Succeeded() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.successes = append(l.successes, time.Now())
}

// Failed records a failure.
func (l *Timeline) Failed(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.failures++
	l.last = err
}

// Failures is how many attempts failed, and the error of the last one.
func (l *Timeline) Failures() (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.failures, l.last
}

// LongestGap is the longest time without a success of those that overlap the time from one moment to another.
func (l *Timeline) LongestGap(from, to time.Time) time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	longest, previous := time.Duration(0), from
	for _, success := range l.successes {
		if !success.After(from) {
			previous = success
			continue
		}
		longest = max(longest, success.Sub(previous))
		if previous = success; !success.Before(to) {
			return longest
		}
	}
	return max(longest, to.Sub(previous))
}

// MoreAfter waits until there were so many successes after a moment.
func (l *Timeline) MoreAfter(ctx context.Context, moment time.Time, n int) error {
	return framework.Eventually(ctx, func(context.Context) string {
		l.mu.Lock()
		defer l.mu.Unlock()
		if i := len(l.successes) - n; i < 0 || !l.successes[i].After(moment) {
			return fmt.Sprintf("no %d successes since %s; last failure: %v", n, moment.Format(time.TimeOnly), l.last)
		}
		return ""
	})
}

// PollReadiness looks at /readyz ten times a second until the context ends.
func PollReadiness(ctx context.Context, config *rest.Config) (*Timeline, error) {
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return nil, fmt.Errorf("poll the readiness: %w", err)
	}
	line := &Timeline{}
	go func() {
		ticker := time.NewTicker(pollPeriod)
		defer ticker.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-ticker.C:
				poll(ctx, client, line)
			}
		}
	}()
	return line, nil
}

func poll(ctx context.Context, client kubernetes.Interface, line *Timeline) {
	ctx, cancel := context.WithTimeout(ctx, pollTimeout)
	defer cancel()
	if _, err := client.Discovery().RESTClient().Get().AbsPath("/readyz").DoRaw(ctx); err != nil {
		line.Failed(err)
		return
	}
	line.Succeeded()
}
