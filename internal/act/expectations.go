package act

import (
	"context"
	"fmt"
	"maps"
	"reflect"
	"strconv"
	"sync"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/quorate/quorate/internal/resources"
)

// liveCheckAfter is how long the cache may lack a write before the API server itself is asked what became of it: the
// object may have been deleted, or lost the label by which the cache selects.
const liveCheckAfter = 2 * time.Second

// Expectations remember the operator's own writes until the cache shows them, so that no decision is made on a view
// from before them. They live in memory: after a restart the cache starts from a fresh list.
type Expectations struct {
	cached client.Reader
	live   client.Reader
	now    func() time.Time

	mu      sync.Mutex
	pending map[client.ObjectKey]map[expectationKey]expectation
}

type expectationKey struct {
	kind reflect.Type
	name client.ObjectKey
}

type expectation struct {
	uid     types.UID
	version uint64 // resource version of the write; of a deletion, the last that is known of the object
	deleted bool
	since   time.Time
}

// NewExpectations checks against cached, and against live when the cache takes long.
func NewExpectations(cached, live client.Reader, now func() time.Time) *Expectations {
	return &Expectations{cached: cached, live: live, now: now,
		pending: map[client.ObjectKey]map[expectationKey]expectation{}}
}

// Wrote remembers a write for the cluster, with the object as the API server returned it.
func (e *Expectations) Wrote(cluster client.ObjectKey, obj client.Object) {
	e.add(cluster, obj, expectation{uid: obj.GetUID(), version: versionOf(obj), since: e.now()})
}

// Deleted remembers a deletion that the API server accepted.
func (e *Expectations) Deleted(cluster client.ObjectKey, obj client.Object) {
	e.add(cluster, obj, expectation{uid: obj.GetUID(), version: versionOf(obj), deleted: true, since: e.now()})
}

// versionOf is the resource version as a number, which grows with every write (KEP-5504); 0 when there is none.
func versionOf(obj client.Object) uint64 {
	version, err := strconv.ParseUint(obj.GetResourceVersion(), 10, 64)
	if err != nil {
		return 0
	}
	return version
}

func (e *Expectations) add(cluster client.ObjectKey, obj client.Object, x expectation) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.pending[cluster] == nil {
		e.pending[cluster] = map[expectationKey]expectation{}
	}
	e.pending[cluster][expectationKey{reflect.TypeOf(obj), client.ObjectKeyFromObject(obj)}] = x
}

// Forget drops what is remembered of a cluster that is gone, unless the cache lacks some of it still: another cluster
// of the name must not be decided on without. The event that shows it brings the next call.
func (e *Expectations) Forget(ctx context.Context, cluster client.ObjectKey) error {
	unsettled, err := e.Unsettled(ctx, cluster)
	if err != nil || unsettled != "" {
		return err
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	delete(e.pending, cluster)
	return nil
}

// Unsettled names a write that the cache does not show yet; empty when it shows all of them. No lock is held while the
// API server is asked: a slow answer for one cluster holds up no other.
func (e *Expectations) Unsettled(ctx context.Context, cluster client.ObjectKey) (string, error) {
	e.mu.Lock()
	pending := maps.Clone(e.pending[cluster])
	e.mu.Unlock()
	for key, x := range pending {
		settled, err := e.settled(ctx, key, x)
		if err != nil {
			return "", err
		}
		if !settled {
			return fmt.Sprintf("%s %s", key.kind.Elem().Name(), key.name.Name), nil
		}
		e.settle(cluster, key, x)
	}
	return "", nil
}

// settle drops an expectation, unless a later write has taken its place.
func (e *Expectations) settle(cluster client.ObjectKey, key expectationKey, x expectation) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.pending[cluster][key] == x {
		delete(e.pending[cluster], key)
	}
}

func (e *Expectations) settled(ctx context.Context, key expectationKey, x expectation) (bool, error) {
	seen, err := read(ctx, e.cached, key)
	if err != nil || x.shownBy(seen) {
		return err == nil, err
	}
	if e.now().Sub(x.since) < liveCheckAfter {
		return false, nil
	}
	now, err := read(ctx, e.live, key)
	if err != nil {
		return false, err
	}
	if seen != nil && now != nil && seen.GetUID() == now.GetUID() &&
		seen.GetResourceVersion() == now.GetResourceVersion() {
		return true, nil // the cache is current, also when the control plane was restored to an earlier state
	}
	gone := now == nil || now.GetUID() != x.uid
	caughtUp := seen == nil && now == nil || seen != nil && now != nil && seen.GetUID() == now.GetUID()
	return gone && caughtUp || seen == nil && now != nil && x.shownBy(now) && hidden(now), nil
}

// hidden tells that the cache does not show the object, because it lost the label by which the cache selects.
func hidden(obj client.Object) bool {
	_, labelled := obj.GetLabels()[resources.LabelCluster]
	return !labelled
}

// shownBy tells whether the object, as it was read, is not from before the write.
func (x expectation) shownBy(obj client.Object) bool {
	switch {
	case obj == nil:
		return x.deleted
	case obj.GetUID() != x.uid:
		// Of another object of the same name, only the resource version tells whether it came before ours or after.
		return versionOf(obj) > x.version
	case x.deleted:
		return obj.GetDeletionTimestamp() != nil
	default:
		return versionOf(obj) >= x.version
	}
}

func read(ctx context.Context, reader client.Reader, key expectationKey) (client.Object, error) {
	obj, ok := reflect.New(key.kind.Elem()).Interface().(client.Object)
	if !ok {
		return nil, fmt.Errorf("%s is no Kubernetes object", key.kind)
	}
	switch err := reader.Get(ctx, key.name, obj); {
	case apierrors.IsNotFound(err):
		return nil, nil //nolint:nilnil // no object is an answer
	case err != nil:
		return nil, fmt.Errorf("read %s %s: %w", key.kind.Elem().Name(), key.name.Name, err)
	default:
		return obj, nil
	}
}
