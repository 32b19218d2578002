package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// counts are numbers of tests; a subtest is a test of its own.
type counts struct {
	Passed  int `json:"passed"`
	Failed  int `json:"failed"`
	Skipped int `json:"skipped"`
}

func (c counts) plus(other counts) counts {
	return counts{c.Passed + other.Passed, c.Failed + other.Failed, c.Skipped + other.Skipped}
}

// String is the closing line.
func (c counts) String() string {
	line := fmt.Sprintf("%d passed, %d failed", c.Passed, c.Failed)
	if c.Skipped > 0 {
		line += fmt.Sprintf(", %d skipped", c.Skipped)
	}
	return line
}

// verdict is an error when a test failed or none ran.
func (c counts) verdict() error {
	switch {
	case c.Failed > 0:
		return fmt.Errorf("%d failed", c.Failed)
	case c.Passed == 0:
		return errors.New("no test ran")
	}
	return nil
}

func (c counts) write(file string) error {
	content, err := json.Marshal(c)
	if err != nil {
		return fmt.Errorf("write the counts: %w", err)
	}
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		return fmt.Errorf("write the counts: %w", err)
	}
	if err := os.WriteFile(file, append(content, '\n'), 0o644); err != nil {
		return fmt.Errorf("write the counts: %w", err)
	}
	return nil
}

func readCounts(file string) (counts, error) {
	var c counts
	content, err := os.ReadFile(file)
	if err != nil {
		return c, fmt.Errorf("read the counts: %w", err)
	}
	if err := json.Unmarshal(content, &c); err != nil {
		return c, fmt.Errorf("read the counts in %s: %w", file, err)
	}
	return c, nil
}
