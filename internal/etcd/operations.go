package etcd

import (
	"context"
	"maps"
	"sync"
	"time"
)

// memory is how long the end of an operation is remembered.
const memory = 24 * time.Hour

// Operation is a long call in the background, as far as it is remembered.
type Operation struct {
	Running bool
	// Ended is when the last one ended; zero when none has.
	Ended time.Time
	// Err is why the last one failed; nil when it did not.
	Err error
}

// Operations run calls that take minutes outside of the reconcile that starts them, each once at a time, and remember
// how the last of each ended. The memory is lost with the operator: whoever plans looks at what the call is to achieve.
type Operations struct {
	// Now is the clock.
	Now func() time.Time
	// Go runs a function in the background.
	Go func(func())
	// Ended is called with the cluster's key when an operation has ended.
	Ended func(cluster string)

	mu       sync.Mutex
	clusters map[string]map[string]Operation
}

// Start runs the call, unless one with the same key of the cluster goes on. It tells whether it did.
func (o *Operations) Start(cluster, key string, call func(context.Context) error) bool {
	if !o.begin(cluster, key) {
		return false
	}
	o.Go(func() {
		err := call(context.Background())
		o.end(cluster, key, Operation{Ended: o.Now(), Err: err})
		o.Ended(cluster)
	})
	return true
}

// Of tells of an operation. A nil receiver remembers none.
func (o *Operations) Of(cluster, key string) Operation {
	if o == nil {
		return Operation{}
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.clusters[cluster][key]
}

// Forget drops what is remembered of a cluster that is gone. What still runs ends with its connection.
func (o *Operations) Forget(cluster string) {
	if o == nil {
		return
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	delete(o.clusters, cluster)
}

func (o *Operations) begin(cluster, key string) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.clusters[cluster][key].Running {
		return false
	}
	// Keys are UIDs of Pods, which come and go.
	maps.DeleteFunc(o.clusters[cluster], func(_ string, was Operation) bool {
		return !was.Running && o.Now().Sub(was.Ended) > memory
	})
	if o.clusters == nil {
		o.clusters = map[string]map[string]Operation{}
	}
	if o.clusters[cluster] == nil {
		o.clusters[cluster] = map[string]Operation{}
	}
	o.clusters[cluster][key] = Operation{Running: true}
	return true
}

func (o *Operations) end(cluster, key string, was Operation) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if _, known := o.clusters[cluster]; known {
		o.clusters[cluster][key] = was
	}
}
