package observe

import (
	"context"
	"errors"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/quorate/quorate/api/v1alpha1"
	"github.com/quorate/quorate/internal/etcd"
	"github.com/quorate/quorate/internal/state"
	"github.com/quorate/quorate/internal/state/statetest"
)

// look is one observation: when, what the leader's metrics are, and what is made of them for demo-1.
type look struct {
	after      time.Duration // since the first
	leadership etcd.Leadership
	gone       bool // the leader says that the connection is lost
	received   float64
	err        error
	answers    bool // demo-1 answers, so that the leader is not asked

	want  state.Peer
	again time.Duration
}

// A silence of a second is proven by two readings a second apart, of one leadership. The last of them is of now.
func TestThatALeaderHearsNothingIsProvenByTwoReadings(t *testing.T) {
	const second, half = time.Second, 500 * time.Millisecond
	active, inactive := state.PeerActive, state.PeerInactive
	for name, looks := range map[string][]look{
		"the first reading proves nothing; one a second later does, and so does each one after it": {
			{want: active, again: second}, {after: second, want: inactive}, {after: second + 1, want: inactive},
		},
		"a reading in between tells how long is to be listened still": {
			{want: active, again: second}, {after: half, want: active, again: half}, {after: second, want: inactive},
		},
		"something has come in between": {
			{want: active, again: second}, {after: second, received: 1, want: active},
			{after: 2*second - 1, received: 1, want: active, again: 1}, {after: 2 * second, received: 1, want: inactive},
		},
		"a silence from before something came does not count": {
			{want: active, again: second}, {after: second, want: inactive}, {after: 2 * second, received: 1, want: active},
			{after: 2*second + half, received: 1, want: active, again: half},
		},
		"less was received than before: another count": {
			{received: 5, want: active, again: second}, {after: second, received: 3, want: active, again: second},
			{after: 2 * second, received: 3, want: inactive},
		},
		"another leader was answered": {
			{leadership: etcd.Leadership{Member: 1}, want: active, again: second},
			{after: second, leadership: etcd.Leadership{Member: 2}, want: active, again: second},
		},
		"the leader was restarted": {
			{leadership: etcd.Leadership{Process: 1}, want: active, again: second},
			{after: second, leadership: etcd.Leadership{Process: 2}, want: active, again: second},
		},
		"the leader did not lead all the time: nobody answers one that does not": {
			{leadership: etcd.Leadership{Changes: 1}, want: active, again: second},
			{after: second, leadership: etcd.Leadership{Changes: 2}, want: active, again: second},
		},
		"the leader says itself that the connection is lost": {{gone: true, want: inactive}},
		"a connection that is back counts from then on": {
			{want: active, again: second}, {after: half, gone: true, want: inactive}, {after: second, want: active, again: second},
		},
		"a member that answered in between was not silent": {
			{want: active, again: second}, {after: half, answers: true}, {after: second, want: active, again: second},
		},
		"the leader could not be asked in between: nothing came all the time": {
			{want: active, again: second}, {after: half, err: errors.New("lost"), want: state.PeerUnknown},
			{after: second, want: inactive},
		},
	} {
		t.Run(name, func(t *testing.T) {
			var at look
			id := statetest.Formed(3).ID(1)
			o := &Observer{
				Now: func() time.Time { return statetest.Now.Add(at.after) },
				ReadPeers: func(context.Context, string, uint64) (etcd.PeerReading, error) {
					return etcd.PeerReading{
						Leadership: at.leadership, Active: map[uint64]bool{id: !at.gone}, Received: map[uint64]float64{id: at.received},
					}, at.err
				},
			}
			for i, l := range looks {
				at = l
				b := statetest.Formed(3)
				if !l.answers {
					b.Crash(1)
				}
				c := b.Build()
				o.readPeers(t.Context(), c)
				if c.Members[1].Peer != l.want || c.Etcd.ListenAgain != l.again {
					t.Errorf("look %d: peer %d, again after %v; want %d, %v", i, c.Members[1].Peer, c.Etcd.ListenAgain, l.want, l.again)
				}
			}
		})
	}
}

func TestPeersAreListenedToForSeveralHeartbeats(t *testing.T) {
	c := statetest.Formed(3).Build()
	if got := window(c); got != time.Second {
		t.Errorf("%v with etcd's own heartbeat of 100ms, want 1s", got)
	}
	slow := statetest.Formed(3).Spec(func(s *v1alpha1.EtcdClusterSpec) {
		s.Etcd = &v1alpha1.EtcdOptions{HeartbeatInterval: &metav1.Duration{Duration: 2 * time.Second}}
	}).Build()
	if got := window(slow); got != 6*time.Second {
		t.Errorf("%v with a heartbeat of 2s, want 6s", got)
	}
	lowered := statetest.Formed(3).Member(1, func(m *state.Member) {
		m.Pod.Args = append(m.Pod.Args, "--heartbeat-interval=10000")
	}).Build()
	if got := window(lowered); got != 30*time.Second {
		t.Errorf("%v with a heartbeat of 10s that a member was started with, want 30s", got)
	}
}

func TestWhatWasHeardIsForgottenWithTheCluster(t *testing.T) {
	o := &Observer{Credentials: &etcd.Credentials{}}
	now := reading{PeerReading: etcd.PeerReading{Active: map[uint64]bool{1: true}}, window: time.Second}
	o.heard.judge("default/demo", []uint64{1}, now)
	o.Forget("default/demo")
	if len(o.heard.clusters) > 0 {
		t.Errorf("kept %v", o.heard.clusters)
	}
}
