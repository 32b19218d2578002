// Package audit reads from the API server's audit log who asked for what, and compares it with what roles grant.
package audit

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// Request is a request to the API server, whether it was granted or not.
type Request struct {
	Time time.Time
	// Verb is the one that is authorised: get, list, watch, create, update, patch, delete or deletecollection.
	Verb string
	// Resource is "pods" or, with a subresource, "pods/status"; empty for a URL of no resource.
	Resource  string
	Group     string
	Namespace string
	// Name is empty where the server chose one, and for many objects.
	Name string
	// Refused is why it was forbidden (status 403); empty when it was not.
	Refused string
}

func (r Request) String() string {
	return fmt.Sprintf("%s %s %s %s/%s", r.Time.UTC().Format("15:04:05.000"), r.Verb, r.Resource, r.Namespace, r.Name)
}

// Lease tells that the request is for a Lease: leader election renews one every few seconds.
func (r Request) Lease() bool { return r.Group == "coordination.k8s.io" && r.Resource == "leases" }

// Change tells that the request may change something.
func (r Request) Change() bool {
	switch r.Verb {
	case "get", "list", "watch":
		return false
	default:
		return true
	}
}

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
	ResponseStatus struct {
		Code    int    `json:"code"`
		Message string `json:"message"`
	} `json:"responseStatus"`
	RequestReceivedTimestamp time.Time `json:"requestReceivedTimestamp"`
}

// Writes are those of Requests that may have changed something.
func Writes(log, user string, from, to time.Time) ([]Request, error) {
	all, err := Requests(log, user, from, to)
	return slices.DeleteFunc(all, func(r Request) bool { return !r.Change() }), err
}

// Requests are those of a user that the API server received from one time until before another one, oldest first, as
// far as its audit policy has them recorded. The log is a file of JSON lines. Its rotated predecessors
// (NAME-TIMESTAMP.EXT beside it) are read too.
func Requests(log, user string, from, to time.Time) ([]Request, error) {
	if _, err := os.Stat(log); err != nil {
		return nil, fmt.Errorf("audit log (the API server's --audit-log-path): %w", err)
	}
	extension := filepath.Ext(log)
	rotated, err := filepath.Glob(strings.TrimSuffix(log, extension) + "-*" + extension)
	if err != nil {
		return nil, fmt.Errorf("audit log %s: %w", log, err)
	}
	var found []Request
	for _, name := range append(rotated, log) {
		requests, err := readFile(name, user, from, to)
		if err != nil {
			return nil, fmt.Errorf("audit log %s: %w", name, err)
		}
		found = append(found, requests...)
	}
	slices.SortFunc(found, func(a, b Request) int { return a.Time.Compare(b.Time) })
	return found, nil
}

func readFile(name, user string, from, to time.Time) ([]Request, error) {
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

func parse(log io.Reader, user string, from, to time.Time) ([]Request, error) {
	quoted, err := json.Marshal(user)
	if err != nil {
		return nil, err
	}
	var found []Request
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
		if e.User.Username == user && e.counts() && !at.Before(from) && at.Before(to) {
			found = append(found, e.request())
		}
	}
}

// counts tells that the event is the one of the request's stages by which it is counted: its end, but for a watch its
// start, because it may go on for longer than anybody looks. One that is refused never starts.
func (e event) counts() bool {
	ended := e.Stage == "ResponseComplete" || e.Stage == "Panic"
	if e.Verb == "watch" {
		return e.Stage == "ResponseStarted" || ended && e.ResponseStatus.Code >= http.StatusBadRequest
	}
	return ended
}

func (e event) request() Request {
	r := Request{
		Time: e.RequestReceivedTimestamp, Verb: e.Verb, Group: e.ObjectRef.APIGroup,
		Resource: e.ObjectRef.Resource, Namespace: e.ObjectRef.Namespace, Name: e.ObjectRef.Name,
	}
	if e.ObjectRef.Subresource != "" {
		r.Resource += "/" + e.ObjectRef.Subresource
	}
	if e.ResponseStatus.Code == http.StatusForbidden {
		r.Refused = e.ResponseStatus.Message
		if r.Refused == "" {
			r.Refused = "forbidden"
		}
	}
	return r
}
