package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
)

// event is a line of `go test -json`, see cmd/test2json.
type event struct {
	Action     string
	Package    string
	ImportPath string
	Test       string
	Elapsed    float64
	Output     string
}

// report follows the events of one go test.
type report struct {
	out    io.Writer
	stream bool
	total  counts
	// tests counts each package's tests.
	tests map[string]counts
	// output is what a test, or a package outside its tests, has printed so far.
	output map[testID]*strings.Builder
}

// testID names a test, or with an empty name the package itself.
type testID struct{ pkg, name string }

func newReport(out io.Writer, stream bool) *report {
	return &report{out: out, stream: stream, tests: map[string]counts{}, output: map[testID]*strings.Builder{}}
}

// read follows the events to their end and returns the counts.
func (r *report) read(events io.Reader) (counts, error) {
	lines := bufio.NewReader(events)
	for {
		line, err := lines.ReadBytes('\n')
		if len(line) > 0 {
			r.line(line)
		}
		if errors.Is(err, io.EOF) {
			return r.total, nil
		}
		if err != nil {
			return r.total, fmt.Errorf("read the output of go test: %w", err)
		}
	}
}

func (r *report) line(line []byte) {
	var e event
	if err := json.Unmarshal(line, &e); err != nil {
		r.print("%s", line)
		return
	}
	switch e.Action {
	case "output":
		r.keep(e)
	case "build-output":
		r.print("%s", e.Output)
	case "pass", "fail", "skip":
		if e.Test == "" {
			r.packageEnded(e)
		} else {
			r.testEnded(e)
		}
	}
}

func (r *report) keep(e event) {
	if r.stream {
		r.print("%s", e.Output)
		return
	}
	id := testID{e.Package, e.Test}
	if r.output[id] == nil {
		r.output[id] = &strings.Builder{}
	}
	r.output[id].WriteString(e.Output)
}

func (r *report) testEnded(e event) {
	id := testID{e.Package, e.Test}
	c := r.tests[e.Package]
	switch e.Action {
	case "pass":
		c.Passed++
	case "fail":
		c.Failed++
		r.printKept(id)
	case "skip":
		c.Skipped++
		r.printKept(id)
	}
	r.tests[e.Package] = c
	delete(r.output, id)
}

func (r *report) packageEnded(e event) {
	id := testID{e.Package, ""}
	c := r.tests[e.Package]
	if e.Action == "fail" {
		r.printUnfinished(e.Package)
		if c.Failed == 0 {
			// It did not build, panicked outside a test, or TestMain failed.
			c.Failed = 1
			r.printKept(id)
		}
	}
	if c != (counts{}) {
		verdict := map[bool]string{true: "ok  ", false: "FAIL"}[c.Failed == 0]
		r.print("%s\t%s\t%.1fs\t%s\n", verdict, e.Package, e.Elapsed, c)
	}
	r.total = r.total.plus(c)
	delete(r.output, id)
}

// printUnfinished shows what tests printed that a panic or the time limit ended.
func (r *report) printUnfinished(pkg string) {
	for id := range r.output {
		if id.pkg == pkg && id.name != "" {
			r.printKept(id)
			delete(r.output, id)
		}
	}
}

func (r *report) printKept(id testID) {
	if kept := r.output[id]; kept != nil {
		r.print("%s", kept)
	}
}

func (r *report) print(format string, args ...any) { _, _ = fmt.Fprintf(r.out, format, args...) }
