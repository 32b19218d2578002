package framework

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"
)

// Write is a request of the API server's audit log that changes something.
type Write struct {
	Time      time.Time
	Verb      string
	Resource  string
	Namespace string
	Name      string
}

func (w Write) String() string {
	return fmt.Sprintf("%s %s %s %s/%s", w.Time.Format("15:04:05.000"), w.Verb, w.Resource, w.Namespace, w.Name)
}

// auditEvent is what is needed of an audit.k8s.io/v1 Event.
type auditEvent struct {
	Verb string `json:"verb"`
	User struct {
		Username string `json:"username"`
	} `json:"user"`
	ObjectRef struct {
		Resource    string `json:"resource"`
		Subresource string `json:"subresource"`
		Namespace   string `json:"namespace"`
		Name        string `json:"name"`
	} `json:"objectRef"`
	Received time.Time `json:"requestReceivedTimestamp"`
}

// OperatorWrites are the writes of the operator since a moment, as the API server's audit log has them; its Lease and
// the reviews by which it authorises those who read its metrics are left out. It needs the local provider.
func (k *Kube) OperatorWrites(since time.Time) ([]Write, error) {
	if k.Provider != Local {
		return nil, fmt.Errorf("read the audit log: %w", ErrLocalOnly)
	}
	file, err := os.Open(filepath.Join(k.Dir(), "audit.log"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("the API server has no audit log (\"make kube-down kube-up\" starts it anew): %w", err)
	}
	if err != nil {
		return nil, fmt.Errorf("read the audit log: %w", err)
	}
	defer func() { _ = file.Close() }()
	return operatorWrites(file, since)
}

func operatorWrites(log io.Reader, since time.Time) ([]Write, error) {
	var writes []Write
	lines := bufio.NewReader(log)
	for {
		line, err := lines.ReadBytes('\n')
		if errors.Is(err, io.EOF) {
			return writes, nil // a line without an end is still being written
		}
		if err != nil {
			return nil, fmt.Errorf("read the audit log: %w", err)
		}
		var e auditEvent
		if err := json.Unmarshal(line, &e); err != nil {
			return nil, fmt.Errorf("read the audit log: %w", err)
		}
		if e.User.Username != OperatorUser || e.Received.Before(since) || exempt(e) {
			continue
		}
		resource := e.ObjectRef.Resource
		if sub := e.ObjectRef.Subresource; sub != "" {
			resource += "/" + sub
		}
		writes = append(writes, Write{e.Received, e.Verb, resource, e.ObjectRef.Namespace, e.ObjectRef.Name})
	}
}

func exempt(e auditEvent) bool {
	switch e.ObjectRef.Resource {
	case "leases", "tokenreviews", "subjectaccessreviews":
		return true
	default:
		return e.Verb == "get" || e.Verb == "list" || e.Verb == "watch"
	}
}
