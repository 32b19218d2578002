// Package audit reads from the API server's audit log who wrote what.
package audit

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// Write is a request to change something, whether it was granted or not.
type Write struct {
	Time time.Time
	Verb string
	// Resource is "pods" or, with a subresource, "pods/status".
	Resource  string
	Group     string
	Namespace string
	// Name is empty where the server chose one.
	Name string
}

func (w Write) String() string {
	return fmt.Sprintf("%s %s %s %s/%s", w.Time.UTC().Format("15:04:05.000"), w.Verb, w.Resource, w.Namespace, w.Name)
}

// Lease tells that the write is to a Lease: leader election renews one every few seconds.
func (w Write) Lease() bool { return w.Group == "coordination.k8s.io" && w.Resource == "leases" }

// event is what is used of an audit.k8s.io/v1 Event.
type event struct {
	Stage string `json:"stage"`
	Verb  string `json:"verb"`
	User  struct {
		Username string `json:"username"`
	} `json:"user"`
	ObjectRef struct {
		Resource    string `json:"resource"`
		Subresource string `json:"subresource"`
		APIGroup    string `json:"apiGroup"`
		Namespace   string `json:"namespace"`
		Name        string `json:"name"`
	} `json:"objectRef"`
	RequestReceivedTimestamp time.Time `json:"requestReceivedTimestamp"`
}

// Writes are the writes of a user that the API server received from one time until before another one, oldest first.
// The log is a file of JSON lines. Its rotated predecessors (NAME-TIMESTAMP.EXT beside it) are read too.
func Writes(log, user string, from, to time.Time) ([]Write, error) {
	if _, err := os.Stat(log); err != nil {
		return nil, fmt.Errorf("audit log (the API server's --audit-log-path): %w", err)
	}
	extension := filepath.Ext(log)
	rotated, err := filepath.Glob(strings.TrimSuffix(log, extension) + "-*" + extension)
	if err != nil {
		return nil, fmt.Errorf("audit log %s: %w", log, err)
	}
	var found []Write
	for _, name := range append(rotated, log) {
		writes, err := readFile(name, user, from, to)
		if err != nil {
			return nil, fmt.Errorf("audit log %s: %w", name, err)
		}
		found = append(found, writes...)
	}
	slices.SortFunc(found, func(a, b Write) int { return a.Time.Compare(b.Time) })
	return found, nil
}

func readFile(name, user string, from, to time.Time) ([]Write, error) {
	file, err := os.Open(name) //nolint:gosec // the log that the caller names
	if err != nil {
		return nil, err
	}
	defer func() { _ = file.Close() }()
	if info, err := file.Stat(); err != nil || info.ModTime().Before(from) {
		return nil, err
	}
	return parse(file, user, from, to)
}

func parse(log io.Reader, user string, from, to time.Time) ([]Write, error) {
	quoted, err := json.Marshal(user)
	if err != nil {
		return nil, err
	}
	var found []Write
	lines := bufio.NewReader(log)
	for number := 1; ; number++ {
		line, err := lines.ReadBytes('\n')
		if errors.Is(err, io.EOF) {
			return found, nil // what follows the last line end is still being written
		}
		if err != nil {
			return nil, err
		}
		if !bytes.Contains(line, quoted) {
			continue
		}
		var e event
		if err := json.Unmarshal(line, &e); err != nil {
			return nil, fmt.Errorf("line %d: %w", number, err)
		}
		at := e.RequestReceivedTimestamp
		if e.User.Username == user && e.change() && !at.Before(from) && at.Before(to) {
			found = append(found, e.write())
		}
	}
}

// change tells that the event ends a request that may have changed something; a request has several stages.
func (e event) change() bool {
	switch e.Stage {
	case "ResponseComplete", "Panic":
	default:
		return false
	}
	switch e.Verb {
	case "get", "list", "watch":
		return false
	default:
		return true
	}
}

func (e event) write() Write {
	w := Write{
		Time: e.RequestReceivedTimestamp, Verb: e.Verb, Group: e.ObjectRef.APIGroup,
		Resource: e.ObjectRef.Resource, Namespace: e.ObjectRef.Namespace, Name: e.ObjectRef.Name,
	}
	if e.ObjectRef.Subresource != "" {
		w.Resource += "/" + e.ObjectRef.Subresource
	}
	return w
}
