package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"text/tabwriter"
	"time"
)

// ratioTarget is how many times the floor's median something may take; zero when that is only told.
func ratioTarget(name string) float64 {
	switch name {
	case createVoters, upgradeDone, restartDone:
		return 1.5
	default:
		return 0
	}
}

// results are all that was measured; times are in seconds.
type results struct {
	Started     time.Time `json:"started"`
	Machine     machine   `json:"machine"`
	EtcdVersion string    `json:"etcdVersion"`
	UpgradedTo  string    `json:"upgradedTo,omitempty"`
	VolumeSize  string    `json:"volumeSize"`
	// TLS tells that all clusters, on both sides, spoke TLS.
	TLS          bool          `json:"tls"`
	Measurements []measurement `json:"measurements,omitempty"`
	// Milestones of creation, since the apply.
	Milestones []measurement `json:"milestones,omitempty"`
	// Writing are figures of a client that wrote while members were changed.
	Writing []measurement `json:"writing,omitempty"`
	// Repair are moments on the way of a repair, since the decision.
	Repair  []measurement `json:"repair,omitempty"`
	Issuing *issuing      `json:"issuing,omitempty"`
	Rest    *rest         `json:"rest,omitempty"`

	root string
}

// measurement is one thing on both sides. A side is nil where it does not exist.
type measurement struct {
	Name     string   `json:"name"`
	Floor    *summary `json:"floor,omitempty"`
	Operator *summary `json:"operator,omitempty"`
	// Ratio of the medians, operator to floor; zero unless both exist.
	Ratio float64 `json:"ratio,omitempty"`
	// Target is the largest wanted ratio; zero when there is none.
	Target float64 `json:"target,omitempty"`
	// Limit is the largest value that the operator may ever have; nil when there is none.
	Limit *float64 `json:"limit,omitempty"`
}

// met tells whether target and limit are met; true without them.
func (m measurement) met() bool {
	fast := m.Target == 0 || m.Ratio > 0 && m.Ratio <= m.Target
	return fast && (m.Limit == nil || m.Operator != nil && m.Operator.Max <= *m.Limit)
}

func (r *results) compare(floor, operator []life) {
	times := func(l life) map[string]float64 { return l.times }
	for _, name := range timed() {
		if m, found := newMeasurement(name, floor, operator, times); found {
			m.Target = ratioTarget(name)
			r.Measurements = append(r.Measurements, m)
		}
	}
	reached := func(l life) map[string]float64 { return l.milestones }
	for _, stone := range milestones(3) {
		if m, found := newMeasurement(stone.name, floor, operator, reached); found {
			r.Milestones = append(r.Milestones, m)
		}
	}
	writing := func(l life) map[string]float64 { return l.writing }
	for _, name := range writingFigures() {
		if m, found := newMeasurement(name, floor, operator, writing); found {
			m.Limit = writingLimit(name)
			r.Writing = append(r.Writing, m)
		}
	}
	repair := func(l life) map[string]float64 { return l.repair }
	for _, name := range repairMoments() {
		if m, found := newMeasurement(name, floor, operator, repair); found {
			r.Repair = append(r.Repair, m)
		}
	}
}

// newMeasurement gathers one time of all lives; false when no life has it.
func newMeasurement(name string, floor, operator []life, of func(life) map[string]float64) (measurement, bool) {
	gather := func(lives []life) *summary {
		var values []float64
		for _, l := range lives {
			if v, found := of(l)[name]; found {
				values = append(values, v)
			}
		}
		if len(values) == 0 {
			return nil
		}
		s := summarize(values)
		return &s
	}
	m := measurement{Name: name, Floor: gather(floor), Operator: gather(operator)}
	if m.Floor != nil && m.Operator != nil && m.Floor.Median > 0 {
		m.Ratio = m.Operator.Median / m.Floor.Median
	}
	return m, m.Floor != nil || m.Operator != nil
}

// missed are the targets that are not met.
func (r *results) missed() []string {
	var missed []string
	for _, m := range r.Measurements {
		if !m.met() {
			missed = append(missed, fmt.Sprintf("%s takes %.2f times the floor, target %.2f", m.Name, m.Ratio, m.Target))
		}
	}
	for _, m := range r.Writing {
		if !m.met() {
			missed = append(missed, fmt.Sprintf("%s: %s, never above %.2f wanted", m.Name, spread(m.Operator), *m.Limit))
		}
	}
	if r.Rest != nil && len(r.Rest.Writes) > 0 {
		missed = append(missed, fmt.Sprintf("%d writes to Kubernetes at rest, target none", len(r.Rest.Writes)))
	}
	return missed
}

func (r *results) print(out io.Writer) error {
	t := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	line := func(format string, args ...any) { _, _ = fmt.Fprintf(t, format+"\n", args...) }
	m := r.Machine
	line("\n%d cores, %.0f GiB, %s, kernel %s, load before %.1f", m.Cores, m.MemoryGiB, m.System, m.Kernel, m.Load)
	line("Kubernetes %s with %d nodes, etcd %s %s on volumes of %s, operator %s",
		m.Kubernetes, m.Nodes, r.versions(), r.transport(), r.VolumeSize, m.Operator)
	if r.Issuing != nil {
		r.Issuing.print(line)
	}
	if len(r.Measurements) > 0 {
		line("\nmedian (min..max), seconds\tfloor\toperator\tratio\ttarget")
		for _, m := range r.Measurements {
			line("%s\t%s\t%s\t%s\t%s", m.Name, spread(m.Floor), spread(m.Operator), ratio(m.Ratio), verdict(m))
		}
	}
	if len(r.Milestones) > 0 {
		line("\non the way of a creation, since the apply\tfloor\toperator")
		for _, m := range r.Milestones {
			line("%s\t%s\t%s", m.Name, spread(m.Floor), spread(m.Operator))
		}
	}
	if len(r.Writing) > 0 {
		line("\nof a client that writes meanwhile\tfloor\toperator\ttarget")
		for _, m := range r.Writing {
			line("%s\t%s\t%s\t%s", m.Name, spread(m.Floor), spread(m.Operator), verdict(m))
		}
	}
	if len(r.Repair) > 0 {
		line("\non the way of a repair, since the decision\tfloor\toperator")
		for _, m := range r.Repair {
			line("%s\t%s\t%s", m.Name, spread(m.Floor), spread(m.Operator))
		}
	}
	if r.Rest != nil {
		r.Rest.print(line, r.transport())
	}
	return t.Flush()
}

func (r *results) versions() string {
	if r.UpgradedTo == "" {
		return r.EtcdVersion
	}
	return r.EtcdVersion + ", upgraded to " + r.UpgradedTo + ","
}

// transport is how everybody speaks to everybody.
func (r *results) transport() string {
	if r.TLS {
		return "with TLS"
	}
	return "in plain text"
}

func (r *rest) print(line func(string, ...any), transport string) {
	line("\noperator with %d clusters (%d members) %s at rest for %.0f s\t", r.Clusters, r.Members, transport, r.Seconds)
	line("working set, MiB\t%s", spread(&r.WorkingSet))
	line("RSS, MiB\t%s", spread(&r.RSS))
	line("the operator's CPU, seconds a minute\t%.2f", r.CPU)
	line("all ready after their creation at once, seconds\t%.1f", r.AllReady)
	line("writes to Kubernetes, its Lease aside\t%d\ttarget 0: %s", len(r.Writes), passed(len(r.Writes) == 0))
	const shown = 10
	for _, w := range r.Writes[:min(shown, len(r.Writes))] {
		line("  %s", w)
	}
	if r.WritesElsewhere > 0 {
		line("writes for other clusters\t%d\tthe machine was not the benchmark's alone", r.WritesElsewhere)
	}
}

func spread(s *summary) string {
	if s == nil {
		return "-"
	}
	return fmt.Sprintf("%.2f (%.2f..%.2f)", s.Median, s.Min, s.Max)
}

func ratio(r float64) string {
	if r == 0 {
		return "-"
	}
	return fmt.Sprintf("%.2f", r)
}

func verdict(m measurement) string {
	switch {
	case m.Limit != nil:
		return fmt.Sprintf("never above %.2f: %s", *m.Limit, passed(m.met()))
	case m.Target != 0:
		return fmt.Sprintf("at most %.2f: %s", m.Target, passed(m.met()))
	default:
		return ""
	}
}

func passed(ok bool) string {
	if ok {
		return "PASS"
	}
	return "FAIL"
}

// String is a life in one line.
func (l life) String() string {
	var words []string
	for _, name := range timed() {
		if v, found := l.times[name]; found {
			words = append(words, fmt.Sprintf("%s %.2f s", name, v))
		}
	}
	for _, name := range writingFigures() {
		if v, found := l.writing[name]; found {
			words = append(words, fmt.Sprintf("%s %.4g", name, v))
		}
	}
	for _, name := range repairMoments() {
		if v, found := l.repair[name]; found {
			words = append(words, fmt.Sprintf("%s after %.2f s", name, v))
		}
	}
	return strings.Join(words, "; ")
}

// write stores the results as JSON; a relative name is below the checkout's top directory.
func (r *results) write(name string) error {
	if name == "" {
		return errors.New("-json is empty: name a file for the results")
	}
	if !filepath.IsAbs(name) {
		name = filepath.Join(r.root, name)
	}
	content, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return fmt.Errorf("encode the results: %w", err)
	}
	if err := os.MkdirAll(filepath.Dir(name), 0o750); err != nil {
		return fmt.Errorf("write the results: %w", err)
	}
	if err := os.WriteFile(name, append(content, '\n'), 0o600); err != nil {
		return fmt.Errorf("write the results: %w", err)
	}
	return nil
}
