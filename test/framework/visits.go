package framework

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/quorate/quorate/internal/resources"
)

// pause is the time between two visits.
const pause = 200 * time.Millisecond

// Visits open a new connection to one member after the other, with what the client Secret holds at that moment, write
// and read through it, and close it. The cluster must speak TLS.
type Visits struct {
	members *Members
	stop    context.CancelFunc
	done    chan struct{}

	mu       sync.Mutex
	made     int
	failures []error
}

// Visit starts Visits.
func (m *Members) Visit(ctx context.Context) *Visits {
	ctx, stop := context.WithCancel(ctx)
	v := &Visits{members: m, stop: stop, done: make(chan struct{})}
	go func() {
		defer close(v.done)
		v.run(ctx)
	}()
	return v
}

// Stop ends the visits and returns how many there were, and what failed in any of them. It may be called more than
// once.
func (v *Visits) Stop() (int, error) {
	v.stop()
	<-v.done
	v.mu.Lock()
	defer v.mu.Unlock()
	if n := len(v.failures); n > 0 {
		return v.made, fmt.Errorf("%d of %d visits failed: %w", n, v.made, errors.Join(v.failures[:min(n, 5)]...))
	}
	return v.made, nil
}

func (v *Visits) run(ctx context.Context) {
	ticker := time.NewTicker(pause)
	defer ticker.Stop()
	for turn := 0; ; turn++ {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		err := v.visit(ctx, turn)
		if ctx.Err() != nil {
			return
		}
		v.mu.Lock()
		v.made++
		if err != nil {
			v.failures = append(v.failures, fmt.Errorf("at %s: %w", time.Now().Format(time.TimeOnly), err))
		}
		v.mu.Unlock()
	}
}

func (v *Visits) visit(ctx context.Context, turn int) error {
	m := v.members
	pods, err := m.ready(ctx)
	if err != nil {
		return err
	}
	if len(pods) == 0 {
		return errors.New("no member is ready")
	}
	pod := &pods[turn%len(pods)]
	id, err := m.env.IdentityIn(ctx, types.NamespacedName{
		Namespace: m.cluster.Namespace, Name: resources.ClientSecretName(m.cluster.Name),
	})
	if err != nil {
		return err
	}
	address, stop, err := m.env.Reach(ctx, pod, resources.ClientPort)
	if err != nil {
		return err
	}
	defer stop()
	slot, _ := resources.ParseSlot(m.cluster.Name, pod.Name)
	return id.Use(ctx, address, resources.PeerHost(m.cluster.Namespace, m.cluster.Name, slot), "/visits")
}

// ready are the member Pods that are ready and stay.
func (m *Members) ready(ctx context.Context) ([]corev1.Pod, error) {
	pods, err := m.Pods(ctx)
	if err != nil {
		return nil, err
	}
	var ready []corev1.Pod
	for i := range pods {
		if p := &pods[i]; p.Status.PodIP != "" && PodReady(p) && p.DeletionTimestamp == nil {
			ready = append(ready, *p)
		}
	}
	return ready, nil
}
