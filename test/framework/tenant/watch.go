package tenant

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/dynamic"
	"k8s.io/utils/ptr"
)

// watchTimeout is asked for so that no watch ends by the API server's own limit while a test runs.
const watchTimeout = time.Hour

// Watch follows the objects of a kind that a Writer writes, through the API server. When it is cut it resumes by the
// last resourceVersion, and where the API server refuses that one as too old it lists, as informers do.
type Watch struct {
	kind      Kind
	client    dynamic.Interface
	namespace string
	stop      context.CancelFunc
	done      chan struct{}

	mu sync.Mutex
	// revision is the last one that was seen.
	revision uint64
	// listed tells that it is that of a list.
	listed  bool
	history History
}

// OpenWatch begins to watch. Revision is that from which on it sees everything.
func OpenWatch(ctx context.Context, client dynamic.Interface, kind Kind, namespace string) (*Watch, uint64, error) {
	_, revision, err := kind.list(ctx, client, namespace)
	if err != nil {
		return nil, 0, err
	}
	ctx, stop := context.WithCancel(ctx)
	w := &Watch{
		kind: kind, client: client, namespace: namespace, stop: stop, done: make(chan struct{}), revision: revision,
	}
	first, err := w.open(ctx)
	if err != nil {
		stop()
		return nil, 0, fmt.Errorf("watch %s: %w", kind.Resource, err)
	}
	go func() {
		defer close(w.done)
		w.run(ctx, first)
	}()
	return w, revision, nil
}

// Stop ends the watch and returns what it saw.
func (w *Watch) Stop() History {
	w.stop()
	<-w.done
	return w.history
}

// LastSeen is the last revision that the watch knows of.
func (w *Watch) LastSeen() uint64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.revision
}

// open opens the watch at the last revision.
func (w *Watch) open(ctx context.Context) (watch.Interface, error) {
	return w.kind.of(w.client, w.namespace).Watch(ctx, metav1.ListOptions{
		ResourceVersion:     strconv.FormatUint(w.revision, 10),
		AllowWatchBookmarks: true,
		TimeoutSeconds:      ptr.To(int64(watchTimeout.Seconds())),
	})
}

func (w *Watch) run(ctx context.Context, stream watch.Interface) {
	ticker := time.NewTicker(pollPeriod)
	defer ticker.Stop()
	for {
		err := w.follow(ctx, stream)
		if ctx.Err() != nil {
			return
		}
		w.ended(err)
		for stream = nil; stream == nil; {
			select {
			case <-ctx.Done():
				return
			case <-ticker.C:
				stream = w.resume(ctx)
			}
		}
	}
}

// errTooOld says that the API server has no events since the revision any more.
var errTooOld = errors.New("the revision is too old")

// resume opens the watch again, after a list when it must; nil when the API server does not answer yet.
func (w *Watch) resume(ctx context.Context) watch.Interface {
	stream, err := w.open(ctx)
	if err != nil {
		return nil
	}
	// A revision that is too old is told by the first event.
	select {
	case <-ctx.Done():
		stream.Stop()
		return nil
	case event, open := <-stream.ResultChan():
		err := w.take(event, open)
		if err == nil {
			w.mu.Lock()
			defer w.mu.Unlock()
			if !w.listed {
				w.history.Resumed++
			}
			w.listed = false
			return stream
		}
		stream.Stop()
		if errors.Is(err, errTooOld) {
			w.list(ctx)
		} else if ctx.Err() == nil {
			w.ended(err)
		}
		return nil
	}
}

func (w *Watch) list(ctx context.Context) {
	listed, revision, err := w.kind.list(ctx, w.client, w.namespace)
	if err != nil {
		return // the next attempt to resume leads here again
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.history.Holes = append(w.history.Holes, Hole{After: w.revision, UpTo: revision, Listed: listed})
	w.revision, w.listed = revision, true
}

// follow takes events until the watch ends, and returns why it did.
func (w *Watch) follow(ctx context.Context, stream watch.Interface) error {
	defer stream.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case event, open := <-stream.ResultChan():
			if err := w.take(event, open); err != nil {
				return err
			}
		}
	}
}

func (w *Watch) take(event watch.Event, open bool) error {
	if !open {
		return errors.New("the API server closed it")
	}
	if event.Type == watch.Error {
		err := apierrors.FromObject(event.Object)
		if apierrors.IsResourceExpired(err) || apierrors.IsGone(err) {
			return fmt.Errorf("%w: %w", errTooOld, err)
		}
		return err
	}
	object, ok := event.Object.(*unstructured.Unstructured)
	if !ok {
		return fmt.Errorf("an event holds a %T", event.Object)
	}
	entry, err := w.kind.entry(object)
	if err != nil {
		return err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.revision = entry.Revision
	if event.Type == watch.Bookmark || !strings.HasPrefix(entry.Name, namePrefix) {
		return nil
	}
	if event.Type == watch.Deleted {
		entry.Value = "(deleted)"
	}
	w.history.Events = append(w.history.Events, entry)
	return nil
}

func (w *Watch) ended(err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.history.Ends = append(w.history.Ends, End{time.Now(), err.Error()})
}
