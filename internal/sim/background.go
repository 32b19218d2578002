package sim

import (
	"k8s.io/apimachinery/pkg/types"

	"github.com/quorate/quorate/internal/etcd"
)

// operationTicks is how long a defragmentation or a compaction takes: meanwhile the member does not answer.
const operationTicks = 3

// operation is a long call of an operator that goes on while other things happen. An operator that dies does not end
// it.
type operation struct {
	method etcd.Method
	target etcd.Target
	call   func() error
	ends   chan error
	// ended is closed when what the operator does in the background is over.
	ended chan struct{}
	left  int
}

// background runs what an operator does in the background up to its call of etcd, which ends some ticks later. Only one
// of the two goroutines runs at a time, so that a schedule can be repeated.
func (w *world) background(op *operator) func(func()) {
	return func(do func()) {
		op.calls = make(chan *operation)
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			do()
		}()
		select {
		case o := <-op.calls:
			o.ended, o.left = ended, operationTicks
			w.log("etcd begins to %s at %s", o.method, o.target.PodUID)
			w.checkOperation(o)
			w.operations = append(w.operations, o)
			w.occupy(o, true)
		case <-ended:
		}
	}
}

// begin hands the call over and waits for its end.
func (c exclusiveClient) begin(method etcd.Method, call func() error) error {
	o := &operation{method: method, target: c.target, call: call, ends: make(chan error)}
	c.e.op.calls <- o
	return <-o.ends
}

// goOn brings operations to their end.
func (w *world) goOn() {
	var left []*operation
	for _, o := range w.operations {
		if o.left--; o.left > 0 {
			left = append(left, o)
			continue
		}
		w.occupy(o, false)
		w.end(o)
	}
	w.operations = left
}

func (w *world) end(o *operation) {
	o.ends <- o.call()
	<-o.ended
	w.seen.faults["etcd ends to "+string(o.method)]++
}

// endOperations ends all at once.
func (w *world) endOperations() {
	for _, o := range w.operations {
		w.end(o)
	}
	w.operations = nil
}

// occupy has a member that is defragmented not answer.
func (w *world) occupy(o *operation, busy bool) {
	if o.method == etcd.MethodDefragment {
		w.occupied[o.target.PodUID] = busy
		w.reachable(o.target.PodUID)
	}
}

// reachable tells etcd whether operators reach the member in the Pod.
func (w *world) reachable(podUID string) {
	uid := types.UID(podUID)
	c := w.kube.containers[uid]
	w.etcd.Unreachable(podUID, w.hidden[uid] || w.occupied[podUID] || c != nil && w.partitioned[c.node])
}
