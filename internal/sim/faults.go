package sim

import (
	"fmt"
	"strings"

	"github.com/quorate/quorate/internal/etcd"
)

// fault happens at the n-th call of an operator from now.
type fault struct {
	in int
	// at is how the calls begin that count; all do when it is empty.
	at   string
	what etcd.Outcome
	// crash kills the operator instead, before or (after set) after the call.
	crash, after bool
	// other lets the other operator reconcile in the middle of the call.
	other bool
	// refusal is how the API server refuses the call, one of refusals; empty when it does not.
	refusal string
	// evicted is the Pod, counted from 1 in the order of their names, that somebody evicts in the middle of the call.
	evicted int
}

func (f fault) String() string {
	switch {
	case f.evicted > 0:
		return "a Pod is evicted in the middle of a call"
	case f.refusal != "":
		return "the API server answers: " + f.refusal
	case f.other:
		return "the other operator reconciles in the middle of a call"
	case f.crash && f.after:
		return "the operator crashes after a call"
	case f.crash:
		return "the operator crashes before a call"
	case f.what == etcd.LoseReply:
		return "the reply is lost"
	default:
		return "the request is lost"
	}
}

// faultAt spends the faults that are due at this call.
func (w *world) faultAt(op *operator, call string) (outcome etcd.Outcome, refusal string) {
	w.log("operator %d: %s", w.indexOf(op), call)
	var left []fault
	due := []fault{}
	for _, f := range w.faults {
		if strings.HasPrefix(call, f.at) {
			f.in--
		}
		if f.in > 0 {
			left = append(left, f)
		} else {
			due = append(due, f)
		}
	}
	w.faults = left
	for _, f := range due {
		w.seen.faults[f.String()]++
		switch {
		case f.evicted > 0:
			w.kube.evictOne(f.evicted)
		case f.other:
			w.log("meanwhile the other operator reconciles")
			before := w.authorities()
			w.operators[1-w.indexOf(op)].cache.sync()
			w.reconcile(1 - w.indexOf(op))
			// A Pod that the first one is about to create loads what was to be trusted before.
			w.interrupted = w.interrupted || w.authorities() != before
		case f.crash && !f.after:
			panic(crash{})
		case f.crash:
			op.dieAfter = true
		case f.refusal != "":
			w.log("fault: %s", f)
			refusal = f.refusal
		default:
			w.log("fault: %s", f)
			outcome = f.what
		}
	}
	return outcome, refusal
}

func (w *world) crashAfter(op *operator) {
	if op.dieAfter {
		op.dieAfter = false
		panic(crash{})
	}
}

func (w *world) indexOf(op *operator) int {
	for i, o := range w.operators {
		if o == op {
			return i
		}
	}
	return 0
}

// etcdFault checks and disturbs the operator's changes of the membership. Reads are not disturbed here: partitions do.
func (w *world) etcdFault(call etcd.Call) etcd.Outcome {
	switch call.Method {
	case etcd.MethodAddLearner, etcd.MethodPromote, etcd.MethodRemove, etcd.MethodMoveLeader, etcd.MethodDisarm:
	default:
		return etcd.OK
	}
	op := w.operators[0]
	for _, o := range w.operators {
		if o.busy {
			op = o
		}
	}
	w.checkIntent(call)
	outcome, refusal := w.faultAt(op, fmt.Sprintf("%s %x%s", call.Method, call.ID, call.PeerURL))
	if refusal != "" {
		return etcd.DropRequest
	}
	w.checkMembership(call)
	if op.blind != "" {
		w.fail("%s %x is sent by an operator whose cache does not show its own write of %s", call.Method, call.ID, op.blind)
	}
	return outcome
}
