package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	policyv1 "k8s.io/api/policy/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	toolscache "k8s.io/client-go/tools/cache"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/quorate/quorate/api/v1alpha1"
	"github.com/quorate/quorate/internal/resources"
	"github.com/quorate/quorate/internal/state"
)

// picture is all of a namespace that milestones look at.
type picture struct {
	pods       []corev1.Pod
	claims     []corev1.PersistentVolumeClaim
	secrets    []corev1.Secret
	configMaps []corev1.ConfigMap
	endpoints  []discoveryv1.EndpointSlice
	budgets    []policyv1.PodDisruptionBudget
	cluster    *v1alpha1.EtcdCluster
}

// milestone is a moment on the way of a new cluster.
type milestone struct {
	name    string
	reached func(picture) bool
}

// Names of milestones.
const (
	milestoneLatch        = "latch created"
	milestoneCertificates = "certificates published"
	milestoneTrust        = "trust published"
	milestoneClaims       = "volume claims created"
	milestonePods         = "Pods created"
	milestoneBound        = "volumes bound"
	milestoneScheduled    = "Pods scheduled"
	milestoneRunning      = "containers running"
	milestoneRecorded     = "members recorded as started"
	milestoneSealed       = "Pods sealed"
	milestoneFormed       = "latch says formed"
	milestonePodsReady    = "Pods ready"
	milestoneClients      = "client Service has an endpoint"
	milestoneReady        = "Ready=True"
)

// milestones of a cluster with so many members, in the order in which they are expected.
func milestones(members int) []milestone {
	pods := func(name string, is func(*corev1.Pod) bool) milestone {
		return milestone{name, func(p picture) bool { return all(p.pods, members, is) }}
	}
	claims := func(name string, is func(*corev1.PersistentVolumeClaim) bool) milestone {
		return milestone{name, func(p picture) bool { return all(p.claims, members, is) }}
	}
	return []milestone{
		{milestoneLatch, func(p picture) bool { return latch(p) != nil }},
		{milestoneCertificates, hasCertificates},
		{milestoneTrust, hasTrust},
		claims(milestoneClaims, func(*corev1.PersistentVolumeClaim) bool { return true }),
		pods(milestonePods, func(*corev1.Pod) bool { return true }),
		claims(milestoneBound, func(c *corev1.PersistentVolumeClaim) bool { return c.Status.Phase == corev1.ClaimBound }),
		pods(milestoneScheduled, func(p *corev1.Pod) bool { return p.Spec.NodeName != "" }),
		pods(milestoneRunning, running),
		claims(milestoneRecorded, func(c *corev1.PersistentVolumeClaim) bool {
			return c.Annotations[resources.AnnotationStarted] == "true"
		}),
		pods(milestoneSealed, func(p *corev1.Pod) bool {
			return p.Annotations[resources.AnnotationInitialClusterState] == "existing"
		}),
		{milestoneFormed, func(p picture) bool { l := latch(p); return l != nil && l.Data["formed"] == "true" }},
		pods(milestonePodsReady, ready),
		{milestoneClients, hasClientEndpoint},
		{milestoneReady, func(p picture) bool {
			return p.cluster != nil && meta.IsStatusConditionTrue(p.cluster.Status.Conditions, v1alpha1.ConditionReady)
		}},
	}
}

// all tells that there are so many objects and that each is as wanted.
func all[T any](objects []T, count int, is func(*T) bool) bool {
	for i := range objects {
		if !is(&objects[i]) {
			return false
		}
	}
	return len(objects) == count
}

func running(p *corev1.Pod) bool {
	return len(p.Status.ContainerStatuses) == 1 && p.Status.ContainerStatuses[0].State.Running != nil
}

func ready(p *corev1.Pod) bool {
	return len(p.Status.ContainerStatuses) == 1 && p.Status.ContainerStatuses[0].Ready
}

// hasCertificates tells that there are those that members mount.
func hasCertificates(p picture) bool {
	has := func(name state.CertificateName) bool {
		return slices.ContainsFunc(p.secrets, func(s corev1.Secret) bool {
			return s.Name == resources.CertificateSecretName(clusterName, name)
		})
	}
	return has(state.PeerCertificate) && has(state.ServerCertificate)
}

// hasTrust tells that there is what members trust. The operator's goes on with a hash of its content.
func hasTrust(p picture) bool {
	return slices.ContainsFunc(p.configMaps, func(c corev1.ConfigMap) bool {
		return strings.HasPrefix(c.Name, clusterName+"-trust")
	})
}

func latch(p picture) *corev1.ConfigMap {
	for i := range p.configMaps {
		if p.configMaps[i].Labels[resources.ComponentLabel] == resources.ComponentLatch {
			return &p.configMaps[i]
		}
	}
	return nil
}

func hasClientEndpoint(p picture) bool {
	for _, s := range p.endpoints {
		if !strings.HasSuffix(s.Labels[discoveryv1.LabelServiceName], "-client") {
			continue
		}
		for _, e := range s.Endpoints {
			if e.Conditions.Ready != nil && *e.Conditions.Ready {
				return true
			}
		}
	}
	return false
}

// journal notes when milestones are reached in one namespace, by watches.
type journal struct {
	objects cache.Cache

	mu      sync.Mutex
	pending []milestone
	reached map[string]time.Time
	wait    map[string]chan struct{}
	failure error
}

// watchMilestones begins to note. The objects cache must be of that namespace only; it is started here.
func watchMilestones(ctx context.Context, objects cache.Cache, members int) (*journal, error) {
	j := &journal{
		objects: objects, pending: milestones(members),
		reached: map[string]time.Time{}, wait: map[string]chan struct{}{},
	}
	for _, m := range j.pending {
		j.wait[m.name] = make(chan struct{})
	}
	for _, kind := range []client.Object{
		&corev1.Pod{}, &corev1.PersistentVolumeClaim{}, &corev1.Secret{}, &corev1.ConfigMap{},
		&discoveryv1.EndpointSlice{}, &policyv1.PodDisruptionBudget{}, &v1alpha1.EtcdCluster{},
	} {
		informer, err := objects.GetInformer(ctx, kind, cache.BlockUntilSynced(false))
		if err != nil {
			return nil, fmt.Errorf("watch %T: %w", kind, err)
		}
		_, err = informer.AddEventHandler(toolscache.ResourceEventHandlerFuncs{
			AddFunc:    func(any) { j.look(ctx) },
			UpdateFunc: func(any, any) { j.look(ctx) },
		})
		if err != nil {
			return nil, fmt.Errorf("watch %T: %w", kind, err)
		}
	}
	go func() {
		if err := objects.Start(ctx); err != nil && ctx.Err() == nil {
			j.fail(err)
		}
	}()
	if !objects.WaitForCacheSync(ctx) {
		return nil, fmt.Errorf("watch the namespace: %w", ctx.Err())
	}
	return j, nil
}

func (j *journal) fail(err error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.failure = err
}

// look notes what is reached now. An informer has its store up to date before it calls.
func (j *journal) look(ctx context.Context) {
	now := time.Now()
	p, err := j.picture(ctx)
	if err != nil {
		if ctx.Err() == nil {
			j.fail(err)
		}
		return
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	var pending []milestone
	for _, m := range j.pending {
		if m.reached(p) {
			j.reached[m.name] = now
			close(j.wait[m.name])
		} else {
			pending = append(pending, m)
		}
	}
	j.pending = pending
}

func (j *journal) picture(ctx context.Context) (picture, error) {
	var pods corev1.PodList
	var claims corev1.PersistentVolumeClaimList
	var secrets corev1.SecretList
	var configMaps corev1.ConfigMapList
	var endpoints discoveryv1.EndpointSliceList
	var budgets policyv1.PodDisruptionBudgetList
	var clusters v1alpha1.EtcdClusterList
	for _, list := range []client.ObjectList{&pods, &claims, &secrets, &configMaps, &endpoints, &budgets, &clusters} {
		if err := j.objects.List(ctx, list); err != nil {
			return picture{}, fmt.Errorf("read the watched objects: %w", err)
		}
	}
	p := picture{
		pods: pods.Items, claims: claims.Items, secrets: secrets.Items, configMaps: configMaps.Items,
		endpoints: endpoints.Items, budgets: budgets.Items,
	}
	if len(clusters.Items) > 0 {
		p.cluster = &clusters.Items[0]
	}
	return p, nil
}

// await returns when the milestone was reached.
func (j *journal) await(ctx context.Context, name string) (time.Time, error) {
	select {
	case <-j.wait[name]:
	case <-ctx.Done():
		j.mu.Lock()
		defer j.mu.Unlock()
		if j.failure != nil {
			return time.Time{}, fmt.Errorf("wait for milestone %q: %w", name, j.failure)
		}
		return time.Time{}, fmt.Errorf("milestone %q was not reached: %w", name, ctx.Err())
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.reached[name], nil
}

// awaitPicture returns when the objects are as wanted.
func (j *journal) awaitPicture(ctx context.Context, what string, is func(picture) bool) (at time.Time, err error) {
	err = repeat(ctx, what, func(ctx context.Context) error {
		p, err := j.picture(ctx)
		at = time.Now()
		if err == nil && !is(p) {
			err = errNotYet
		}
		return err
	})
	return at, err
}

// since are the milestones reached so far, in seconds after start.
func (j *journal) since(start time.Time) map[string]float64 {
	j.mu.Lock()
	defer j.mu.Unlock()
	out := map[string]float64{}
	for name, at := range j.reached {
		out[name] = at.Sub(start).Seconds()
	}
	return out
}
