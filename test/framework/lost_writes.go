package framework

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
)

// KeyReader reads all keys below a prefix from one member.
type KeyReader interface {
	// Name of the member.
	Name() string
	// Read reads linearizably or, when serializable is set, what the member itself holds.
	Read(ctx context.Context, prefix string, serializable bool) (map[string]string, error)
}

// CheckWrites reads everything back from every member, first linearizably, which makes the member catch up, then what
// it holds itself, and compares key by key. The error tells what each member lacks or has changed.
func CheckWrites(ctx context.Context, readers []KeyReader, prefix string, acknowledged map[string]string) error {
	if len(readers) == 0 {
		return fmt.Errorf("no member to read the %d acknowledged writes from", len(acknowledged))
	}
	var faults []string
	for _, reader := range readers {
		for _, serializable := range []bool{false, true} {
			how := map[bool]string{false: "linearizable", true: "serializable"}[serializable]
			found, err := reader.Read(ctx, prefix, serializable)
			if err != nil {
				faults = append(faults, fmt.Sprintf("%s cannot be read (%s): %v", reader.Name(), how, err))
				continue
			}
			if lost := compare(acknowledged, found); lost != "" {
				faults = append(faults, fmt.Sprintf("%s (%s): %s", reader.Name(), how, lost))
			}
		}
	}
	if len(faults) > 0 {
		return fmt.Errorf("of %d acknowledged writes not all are there:\n  %s",
			len(acknowledged), strings.Join(faults, "\n  "))
	}
	return nil
}

// compare tells which acknowledged writes are missing or differ; empty when none. A key that was found beyond them is
// no fault: a write may take place without its acknowledgement arriving.
func compare(acknowledged, found map[string]string) string {
	const shown = 5
	var faults []string
	for _, key := range slices.Sorted(maps.Keys(acknowledged)) {
		switch value, there := found[key]; {
		case !there:
			faults = append(faults, key+" is missing")
		case value != acknowledged[key]:
			faults = append(faults, fmt.Sprintf("%s is %q, acknowledged was %q", key, value, acknowledged[key]))
		}
	}
	if len(faults) == 0 {
		return ""
	}
	return fmt.Sprintf("%d of %d lost: %s",
		len(faults), len(acknowledged), strings.Join(faults[:min(shown, len(faults))], ", "))
}

// CheckWrites checks that every voter that etcd lists holds every acknowledged write of the Writer.
func (m *Members) CheckWrites(ctx context.Context, prefix string, acknowledged map[string]string) error {
	list, err := m.Listed(ctx)
	if err != nil {
		return fmt.Errorf("read %d acknowledged writes back: %w", len(acknowledged), err)
	}
	var readers []KeyReader
	for _, member := range list.Members {
		if member.IsLearner {
			continue // a learner serves no linearizable reads, and its data counts for nothing yet
		}
		c, err := m.Client(ctx, member.Name)
		if err != nil {
			return fmt.Errorf("read %d acknowledged writes back: %w", len(acknowledged), err)
		}
		readers = append(readers, memberReader{member.Name, c})
	}
	return CheckWrites(ctx, readers, prefix, acknowledged)
}

type memberReader struct {
	name   string
	client *clientv3.Client
}

func (r memberReader) Name() string { return r.name }

func (r memberReader) Read(ctx context.Context, prefix string, serializable bool) (map[string]string, error) {
	ctx, cancel := context.WithTimeout(ctx, 15*time.Second)
	defer cancel()
	options := []clientv3.OpOption{clientv3.WithPrefix()}
	if serializable {
		options = append(options, clientv3.WithSerializable())
	}
	response, err := r.client.Get(ctx, prefix, options...)
	if err != nil {
		return nil, err
	}
	found := make(map[string]string, len(response.Kvs))
	for _, kv := range response.Kvs {
		found[string(kv.Key)] = string(kv.Value)
	}
	return found, nil
}
