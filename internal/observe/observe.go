// Package observe makes a state.Cluster: what Kubernetes holds, read from the cache or live, and what every member
// answered to a probe of its own.
package observe

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/quorate/quorate/api/v1alpha1"
	"github.com/quorate/quorate/internal/etcd"
	"github.com/quorate/quorate/internal/resources"
	"github.com/quorate/quorate/internal/state"
)

// Observer observes clusters.
type Observer struct {
	// Etcd hands out clients of members.
	Etcd etcd.Dialer
	// Now is the clock.
	Now func() time.Time
	// DefaultVersion is the etcd version of a new cluster without spec.version.
	DefaultVersion string
	// Live reads from the API server itself.
	Live client.Reader
	// Nodes tells that the operator may read nodes and PersistentVolumes; without, their failure is not taken into
	// account.
	Nodes bool
	// OperatorImage is the image of this operator; empty when it is not known.
	OperatorImage string
	// Credentials take the operator's certificates, for the etcd clients.
	Credentials *etcd.Credentials
	// Handshake tells the fingerprint of the certificate that is served at an address; see etcd.Served.
	Handshake func(ctx context.Context, address string, certificate *tls.Certificate) (string, error)
	// ReadPeers reads what the leader hears of others; see etcd.ReadPeers.
	ReadPeers func(ctx context.Context, address string, member uint64) (etcd.PeerReading, error)
	// Operations remember the long calls that go on in the background.
	Operations *etcd.Operations

	served    servedCertificates
	published published
	heard     heard
	hashes    hashes
	sightings sightings
}

// Observe makes one observation, reading Kubernetes through reader: the cache, or the API server itself before
// something irreversible. An error means that Kubernetes could not be read; etcd's silence is part of the observation.
func (o *Observer) Observe(
	ctx context.Context, reader client.Reader, obj *v1alpha1.EtcdCluster,
) (*state.Cluster, error) {
	c := &state.Cluster{
		Now: o.Now(), Object: obj, DefaultVersion: o.DefaultVersion, OperatorImage: o.OperatorImage,
	}
	objects, err := o.read(ctx, reader, c)
	if err != nil {
		return nil, err
	}
	if err := o.readTLS(ctx, reader, c, objects); err != nil {
		return nil, err
	}
	answers := o.ask(ctx, c, objects.pods)
	join(c, objects, answers)
	o.recallOperations(c)
	o.readServed(ctx, c)
	if err := errors.Join(o.lookForHidden(ctx, c), o.lookForUnlisted(ctx, c)); err != nil {
		return nil, err
	}
	setTrust(c)
	// It asks only where something is missing, which what is to be trusted is before the line above.
	if err := o.readNamespace(ctx, c); err != nil {
		return nil, err
	}
	if o.Nodes {
		if err := o.readNodes(ctx, reader, c); err != nil {
			return nil, err
		}
	}
	o.sightings.apply(clusterKey(c), c)
	c.Assess()
	o.readPeers(ctx, c)
	if o.Nodes {
		if err := errors.Join(o.readDisks(ctx, reader, c), o.readRoom(ctx, reader, c)); err != nil {
			return nil, err
		}
	}
	return c, nil
}

// objects of a cluster, as plain data, before they are joined to members.
type objects struct {
	pods    []state.Pod
	volumes []state.Volume
	// salvages by the name of the Pod.
	salvages map[string]state.Salvage
}

func (o *Observer) read(ctx context.Context, reader client.Reader, c *state.Cluster) (objects, error) {
	var found objects
	in := []client.ListOption{
		client.InNamespace(c.Object.Namespace), client.MatchingLabels{resources.LabelCluster: c.Object.Name},
	}
	var pods corev1.PodList
	if err := reader.List(ctx, &pods, in...); err != nil {
		return found, fmt.Errorf("list the Pods: %w", err)
	}
	for i := range pods.Items {
		if !takeHelper(c, &pods.Items[i], &found) {
			takePod(c, &pods.Items[i], &found)
		}
	}
	var claims corev1.PersistentVolumeClaimList
	if err := reader.List(ctx, &claims, in...); err != nil {
		return found, fmt.Errorf("list the volume claims: %w", err)
	}
	for i := range claims.Items {
		takeVolume(c, &claims.Items[i], &found)
	}
	if err := readLatch(ctx, reader, c); err != nil {
		return found, err
	}
	if err := readRecoveries(ctx, reader, c, in); err != nil {
		return found, err
	}
	if err := readPeerService(ctx, reader, c); err != nil {
		return found, err
	}
	if err := readMemberServices(ctx, reader, c); err != nil {
		return found, err
	}
	// The cache lists in no order, the API server by name: equal observations must give equal decisions.
	slices.SortFunc(found.pods, func(a, b state.Pod) int { return cmp.Compare(a.Name, b.Name) })
	slices.SortFunc(found.volumes, func(a, b state.Volume) int { return cmp.Compare(a.Name, b.Name) })
	return found, readDisruptionBudget(ctx, reader, c)
}

func takePod(c *state.Cluster, pod *corev1.Pod, found *objects) {
	p, err := resources.ParsePod(c.Object.Name, pod)
	switch {
	case err != nil:
		foreign(c, "Pod", pod.Name, err)
	case p.Owner != "" && p.Owner != c.Object.UID:
		foreign(c, "Pod", pod.Name, nil)
	default:
		if p.Running {
			p.RunningFor = c.Now.Sub(p.RunningSince)
		}
		found.pods = append(found.pods, p)
	}
}

func takeVolume(c *state.Cluster, claim *corev1.PersistentVolumeClaim, found *objects) {
	v, err := resources.ParseVolume(c.Object.Name, claim)
	switch {
	case err != nil:
		foreign(c, "PersistentVolumeClaim", claim.Name, err)
	case v.Owner != "" && v.Owner != c.Object.UID:
		foreign(c, "PersistentVolumeClaim", claim.Name, nil)
	default:
		found.volumes = append(found.volumes, v)
	}
}

func foreign(c *state.Cluster, kind, name string, problem error) {
	o := state.ForeignObject{Kind: kind, Name: name}
	if problem != nil {
		o.Problem = problem.Error()
	}
	c.Leftovers.Foreign = append(c.Leftovers.Foreign, o)
}

func readLatch(ctx context.Context, reader client.Reader, c *state.Cluster) error {
	var cm corev1.ConfigMap
	name := resources.LatchName(c.Object.Name)
	switch err := get(ctx, reader, c, name, &cm); {
	case apierrors.IsNotFound(err):
		return nil
	case err != nil:
		return fmt.Errorf("read the latch: %w", err)
	}
	latch, err := resources.ParseLatch(&cm)
	switch {
	case err != nil:
		foreign(c, "ConfigMap", name, err)
	case latch.Owner != "" && latch.Owner != c.Object.UID, latch.Terminating:
		foreign(c, "ConfigMap", name, nil)
	default:
		c.Latch = &latch
	}
	return nil
}

func readPeerService(ctx context.Context, reader client.Reader, c *state.Cluster) error {
	var svc corev1.Service
	err := get(ctx, reader, c, resources.PeerServiceName(c.Object.Name), &svc)
	if apierrors.IsNotFound(err) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("read the peer Service: %w", err)
	}
	families := svc.Spec.IPFamilies
	c.PeerService = &state.PeerService{IPv6: len(families) > 0 && families[0] == corev1.IPv6Protocol}
	return nil
}

func readDisruptionBudget(ctx context.Context, reader client.Reader, c *state.Cluster) error {
	var pdb policyv1.PodDisruptionBudget
	err := get(ctx, reader, c, resources.DisruptionBudgetName(c.Object.Name), &pdb)
	if apierrors.IsNotFound(err) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("read the PodDisruptionBudget: %w", err)
	}
	if pdb.Labels[resources.LabelCluster] != c.Object.Name {
		return nil // somebody else's; applying ours reports it
	}
	b := &state.DisruptionBudget{Expected: int(pdb.Status.ExpectedPods)}
	if pdb.Spec.MinAvailable != nil {
		b.MinAvailable = pdb.Spec.MinAvailable.IntValue()
	}
	b.Observed = pdb.Status.ObservedGeneration >= pdb.Generation && len(pdb.Status.DisruptedPods) == 0
	c.Disruption = b
	return nil
}

// lookForHidden looks for what seems to be gone by its name: an object that lost the label by which all are listed is
// not lost data.
func (o *Observer) lookForHidden(ctx context.Context, c *state.Cluster) error {
	for _, m := range c.Members {
		if !m.Launched || c.Ephemeral() && m.Pod != nil || !c.Ephemeral() && m.Volume != nil {
			continue
		}
		kind, name, into := "PersistentVolumeClaim", resources.VolumeName(c.Object.Name, m.Slot, m.ID),
			client.Object(&corev1.PersistentVolumeClaim{})
		if c.Ephemeral() {
			kind, name, into = "Pod", m.Name, &corev1.Pod{}
		}
		if c.Held(kind, name) {
			continue
		}
		err := get(ctx, o.Live, c, name, into)
		if err != nil && !apierrors.IsNotFound(err) {
			return fmt.Errorf("look for %s %s: %w", kind, name, err)
		}
		if err == nil {
			foreign(c, kind, name, hiddenBecause(into, c.Object.Name))
		}
	}
	return nil
}

// lookForUnlisted looks for the claims of members that nothing but the latch knows of, while etcd's list is not known:
// one that lost its label does not make a member, and is no lost data either.
func (o *Observer) lookForUnlisted(ctx context.Context, c *state.Cluster) error {
	if c.Ephemeral() || !c.Formed() || c.Etcd.Listed {
		return nil
	}
	unknown := slices.DeleteFunc(slices.Clone(c.Latch.Launched), func(id uint64) bool { return c.MemberByID(id) != nil })
	if len(unknown) == 0 {
		return nil
	}
	var claims corev1.PersistentVolumeClaimList
	if err := o.Live.List(ctx, &claims, client.InNamespace(c.Object.Namespace)); err != nil {
		return fmt.Errorf("look for claims without the cluster's label: %w", err)
	}
	for i := range claims.Items {
		claim := &claims.Items[i]
		named := func(id uint64) bool { return resources.IsVolumeOf(c.Object.Name, id, claim.Name) }
		if slices.ContainsFunc(unknown, named) && claim.Labels[resources.LabelCluster] != c.Object.Name {
			foreign(c, "PersistentVolumeClaim", claim.Name, errLabelLost)
		}
	}
	return nil
}

// hiddenBecause tells why an object that exists was not listed.
func hiddenBecause(obj client.Object, cluster string) error {
	if obj.GetLabels()[resources.LabelCluster] != cluster {
		return errLabelLost
	}
	return errNotListed
}

var errNotListed = errors.New("it exists but is not listed yet")

var errLabelLost = fmt.Errorf("it lacks the label %s; restore it", resources.LabelCluster)

func get(ctx context.Context, reader client.Reader, c *state.Cluster, name string, into client.Object) error {
	return reader.Get(ctx, client.ObjectKey{Namespace: c.Object.Namespace, Name: name}, into)
}
