package main

import (
	"fmt"
	"io"
	"strings"
	"time"
)

// screen shows numbered steps with their times.
type screen struct {
	out   io.Writer
	start time.Time
	steps int
}

// step explains in a line what comes, does it, and tells how long it took.
func (s *screen) step(explanation string, do func() error) error {
	s.steps++
	s.print("\n%d. %s", s.steps, explanation)
	start := time.Now()
	if err := do(); err != nil {
		return fmt.Errorf("in step %d (%s): %w", s.steps, strings.TrimSuffix(explanation, "."), err)
	}
	s.print("   done in %s", seconds(time.Since(start)))
	return nil
}

// say shows a line below the step.
func (s *screen) say(format string, args ...any) { s.print("   "+format, args...) }

// show shows what a command printed.
func (s *screen) show(output string) {
	for line := range strings.Lines(strings.TrimRight(output, "\n")) {
		s.say("%s", strings.TrimRight(line, "\n"))
	}
}

func (s *screen) print(format string, args ...any) {
	_, _ = fmt.Fprintf(s.out, format+"\n", args...)
}

// Write shows the output of a command while it runs.
func (s *screen) Write(output []byte) (int, error) {
	s.show(string(output))
	return len(output), nil
}

func seconds(d time.Duration) string { return fmt.Sprintf("%.1f s", d.Seconds()) }
