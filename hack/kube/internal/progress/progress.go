// Package progress tells a person at a terminal what is going on and how long it takes.
package progress

import (
	"fmt"
	"io"
	"sync"
	"time"
)

// reminder is how often a step that still runs says so.
const reminder = 15 * time.Second

// Reporter prints steps with their times; it is safe for concurrent use.
type Reporter struct {
	mu    sync.Mutex
	out   io.Writer
	start time.Time
}

// New returns a Reporter whose elapsed time starts now.
func New(out io.Writer) *Reporter { return &Reporter{out: out, start: time.Now()} }

// Say prints one line with the time since the start.
func (r *Reporter) Say(format string, args ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	_, _ = fmt.Fprintf(r.out, "[%6.1fs] %s\n", time.Since(r.start).Seconds(), fmt.Sprintf(format, args...))
}

// Step runs f and prints name with the time it took; while f runs it reminds of itself every 15 seconds.
func (r *Reporter) Step(name string, f func() error) error {
	return r.StepWith(name, func(func(string)) error { return f() })
}

// StepWith is Step for work that can tell how far it is: the last text given to detail is part of the reminder.
func (r *Reporter) StepWith(name string, f func(detail func(string)) error) error {
	begin := time.Now()
	var mu sync.Mutex
	var last string
	finished := make(chan struct{})
	var reminders sync.WaitGroup
	reminders.Go(func() {
		ticker := time.NewTicker(reminder)
		defer ticker.Stop()
		for {
			select {
			case <-finished:
				return
			case <-ticker.C:
				mu.Lock()
				detail := last
				mu.Unlock()
				r.Say("... %s, for %s%s", name, round(time.Since(begin)), detail)
			}
		}
	})
	err := f(func(text string) {
		mu.Lock()
		defer mu.Unlock()
		last = ": " + text
	})
	close(finished)
	reminders.Wait()
	if err != nil {
		r.Say("%s: failed after %s", name, round(time.Since(begin)))
		return fmt.Errorf("%s: %w", name, err)
	}
	r.Say("%s (%s)", name, round(time.Since(begin)))
	return nil
}

func round(d time.Duration) time.Duration {
	if d < time.Second {
		return d.Round(time.Millisecond)
	}
	return d.Round(100 * time.Millisecond)
}
