package tenant

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/google/uuid"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/dynamic"
)

const (
	// pace is the time between two writes.
	pace = 40 * time.Millisecond
	// writeTimeout is when an attempt is given up, although it may have taken place: etcd answers one that it has lost
	// with its leader only after 7 s, and what is measured is when writes are possible again.
	writeTimeout = 1500 * time.Millisecond
)

// Writer writes unique values through the tenant's API server, one after another and of all kinds in turn. A write that
// failed is tried again until it is acknowledged.
type Writer struct {
	// Timeline has the acknowledgements.
	Timeline Timeline

	client    dynamic.Interface
	namespace string
	id        string
	stop      context.CancelFunc
	done      chan struct{}

	mu           sync.Mutex
	acknowledged map[string][]Entry
	pending      map[string]string
}

// NewWriter prepares a Writer in a namespace that is there; it writes nothing yet that watches have to see.
func NewWriter(ctx context.Context, client dynamic.Interface, namespace string) (*Writer, error) {
	secret := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "v1", "kind": "Secret", "metadata": map[string]any{"name": updated},
	}}
	w := &Writer{
		client: client, namespace: namespace, id: uuid.NewString(), stop: func() {}, done: make(chan struct{}),
		acknowledged: map[string][]Entry{}, pending: map[string]string{},
	}
	for _, kind := range Kinds() {
		if kind.Resource != "secrets" {
			continue
		}
		if _, err := kind.of(client, namespace).Create(ctx, secret, metav1.CreateOptions{}); err != nil {
			return nil, fmt.Errorf("prepare to write: %w", err)
		}
	}
	return w, nil
}

// Run begins to write.
func (w *Writer) Run(ctx context.Context) {
	ctx, w.stop = context.WithCancel(ctx)
	go func() {
		defer close(w.done)
		ticker := time.NewTicker(pace)
		defer ticker.Stop()
		kinds := Kinds()
		for n := 0; ctx.Err() == nil; n++ {
			w.write(ctx, ticker, kinds[n%len(kinds)], n)
		}
	}()
}

// write writes the n-th value until it is acknowledged or the context ends.
func (w *Writer) write(ctx context.Context, ticker *time.Ticker, kind Kind, n int) {
	value := fmt.Sprintf("%s-%06d", w.id, n)
	w.mu.Lock()
	w.pending[kind.Resource] = value
	w.mu.Unlock()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		entry, err := w.attempt(ctx, kind, n, value)
		if ctx.Err() != nil {
			return // whether the last write took place is not known, and nothing was acknowledged
		}
		if err != nil {
			w.Timeline.Failed(err)
			continue
		}
		w.mu.Lock()
		w.acknowledged[kind.Resource] = append(w.acknowledged[kind.Resource], entry)
		delete(w.pending, kind.Resource)
		w.mu.Unlock()
		w.Timeline.Succeeded()
		return
	}
}

func (w *Writer) attempt(ctx context.Context, kind Kind, n int, value string) (Entry, error) {
	ctx, cancel := context.WithTimeout(ctx, writeTimeout)
	defer cancel()
	written, err := kind.write(ctx, kind.of(w.client, w.namespace), round{w.namespace, n, value})
	if err != nil {
		return Entry{}, fmt.Errorf("write %s: %w", kind.Resource, err)
	}
	entry, err := kind.entry(written)
	if err == nil && entry.Value != value {
		err = fmt.Errorf("%s %s holds %q, want %q", kind.Resource, entry.Name, entry.Value, value)
	}
	return entry, err
}

// Stop ends the writing.
func (w *Writer) Stop() {
	w.stop()
	<-w.done
}

// Acknowledged are the writes of a kind that were acknowledged, in order.
func (w *Writer) Acknowledged(kind Kind) []Entry {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.acknowledged[kind.Resource])
}

// Pending is the value whose writing was broken off, if any: it may be there and was never acknowledged.
func (w *Writer) Pending(kind Kind) string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.pending[kind.Resource]
}

// CheckStored reads everything back through the API server; call it after Stop. The error names what is lost.
func (w *Writer) CheckStored(ctx context.Context, kind Kind) error {
	found, _, err := kind.list(ctx, w.client, w.namespace)
	if err != nil {
		return fmt.Errorf("read everything back: %w", err)
	}
	want := map[string]Entry{}
	for _, entry := range w.Acknowledged(kind) {
		want[entry.Name] = entry
	}
	for _, name := range slices.Sorted(maps.Keys(want)) {
		got, there := found[name]
		overwritten := there && got.Value == w.Pending(kind) && got.Revision > want[name].Revision
		if got != want[name] && !overwritten {
			return fmt.Errorf("%s %s is %+v, acknowledged was %+v", kind.Resource, name, got, want[name])
		}
	}
	return nil
}
