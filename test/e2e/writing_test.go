//go:build e2e

package e2e

import (
	"context"
	"maps"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	eventsv1 "k8s.io/api/events/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/quorate/quorate/test/framework"
)

// writing is a writer that runs throughout a test.
type writing struct {
	*cluster
	writer *framework.Writer
}

// write starts a writer and waits until its first writes are acknowledged.
func (c *cluster) write() *writing {
	c.t.Helper()
	w := &writing{cluster: c, writer: c.members.Write(c.ctx)}
	c.t.Cleanup(func() { w.writer.Stop() })
	w.goesOn()
	return w
}

// goesOn waits until further writes are acknowledged.
func (w *writing) goesOn() {
	w.t.Helper()
	ctx, cancel := w.within(settle)
	defer cancel()
	w.must(w.writer.MoreAcknowledged(ctx, 20))
}

// nothingLost stops the writer and reads every acknowledged write back from every member.
func (w *writing) nothingLost() framework.Record {
	w.t.Helper()
	record := w.writer.Stop()
	ctx, cancel := w.within(time.Minute)
	defer cancel()
	if err := w.members.CheckWrites(ctx, w.writer.Prefix(), record.Acknowledged); err != nil {
		w.t.Errorf("%v\nthe writer's last failure: %v", err, record.LastFailure)
	}
	w.t.Logf("%d writes acknowledged and read back, %d attempts failed, longest gap %s",
		len(record.Acknowledged), record.Failed, record.LongestGap.Round(time.Millisecond))
	return record
}

// gapAtMost checks that the cluster was available throughout, but for so long at a time.
func (w *writing) gapAtMost(d time.Duration) {
	w.t.Helper()
	if r := w.writer.Record(); r.LongestGap > d {
		w.t.Errorf("no write was acknowledged for %s, want at most %s; last failure: %v", r.LongestGap, d, r.LastFailure)
	}
}

// data is written once and must be there later.
type data struct {
	prefix string
	keys   map[string]string
}

// fill writes a few keys.
func (c *cluster) fill() data {
	c.t.Helper()
	ctx, cancel := c.within(settle)
	defer cancel()
	writer := c.members.Write(ctx)
	c.must(writer.MoreAcknowledged(ctx, 50))
	return data{writer.Prefix(), maps.Clone(writer.Stop().Acknowledged)}
}

// holds checks that every member holds the data.
func (c *cluster) holds(d data) {
	c.t.Helper()
	ctx, cancel := c.within(time.Minute)
	defer cancel()
	c.must(c.members.CheckWrites(ctx, d.prefix, d.keys))
}

// empty checks that the cluster holds nothing of the data.
func (c *cluster) empty(d data) {
	c.t.Helper()
	list, err := c.members.Listed(c.ctx)
	c.must(err)
	etcd, err := c.members.Client(c.ctx, list.Members[0].Name)
	c.must(err)
	found, err := etcd.Get(c.ctx, d.prefix, clientv3.WithPrefix(), clientv3.WithCountOnly())
	c.must(err)
	if found.Count != 0 {
		c.t.Errorf("a new cluster holds %d keys of its predecessor, want none", found.Count)
	}
}

// event waits for an event about the cluster.
func (c *cluster) event(reason string) *eventsv1.Event {
	c.t.Helper()
	var found *eventsv1.Event
	c.eventually("waiting for an event "+reason, settle, func(ctx context.Context) string {
		var list eventsv1.EventList
		if err := c.Client.List(ctx, &list, client.InNamespace(c.namespace)); err != nil {
			return err.Error()
		}
		for _, e := range list.Items {
			if e.Regarding.Kind == "EtcdCluster" && e.Regarding.Name == c.key.Name && e.Reason == reason {
				found = &e
				return ""
			}
		}
		return "there is none"
	})
	return found
}
