package act

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/quorate/quorate/internal/pki"
	"github.com/quorate/quorate/internal/plan"
	"github.com/quorate/quorate/internal/resources"
	"github.com/quorate/quorate/internal/state"
)

// setAuthority changes the Secret with a side's certificate authorities, read live. Of two operators that change it one
// wins, and the other observes again.
func setAuthority(ctx context.Context, w *writer, c *state.Cluster, s plan.SetAuthority) error {
	name := resources.AuthorityName(w.cluster.Name, s.Side)
	seen, err := w.ownSecret(ctx, name)
	if err != nil {
		return err
	}
	made := slices.Contains([]plan.AuthorityChange{plan.CreateAuthority, plan.RestoreAuthority, plan.SupplantAuthority,
		plan.ReplaceAuthority}, s.Change)
	if made && seen != nil && bundleOf(seen) != c.TLS.Authority(s.Side).Bundle {
		// Invariant: one that can be read is never replaced unseen. Another operator made it since it was observed, and a
		// second one would cut the members off from one another.
		return fmt.Errorf("the %s CA exists by now: %w", s.Side, errChanged)
	}
	var now resources.Authority
	switch s.Change {
	case plan.CreateAuthority:
		now, err = created(ctx, w, c, s.Side)
	case plan.ReplaceAuthority:
		now, err = replaced(ctx, w, c, s.Side)
	case plan.RestoreAuthority, plan.SupplantAuthority:
		now, err = restored(ctx, w, c, s.Side)
	default:
		now, err = rotated(ctx, w, c, s, seen)
	}
	if err != nil {
		return err
	}
	now.Since = c.Now
	desired, err := resources.AuthoritySecret(w.cluster, s.Side, now)
	if err != nil {
		return fmt.Errorf("the %s CA: %w", s.Side, err)
	}
	return w.putSecret(ctx, seen, desired)
}

// created is the first authority. Invariant: no certificate of another one is published, or whoever was shown it would
// be cut off.
func created(ctx context.Context, w *writer, c *state.Cluster, side state.Side) (resources.Authority, error) {
	for _, name := range state.CertificateNames() {
		if name.Side() != side {
			continue
		}
		published, err := w.ownSecret(ctx, resources.CertificateSecretName(w.cluster.Name, name))
		switch {
		case published == nil && (err == nil || errors.Is(err, ErrConflict)):
			continue // none, or somebody else's: publishing the certificate tells of that
		case err != nil:
			return resources.Authority{}, err
		}
		if _, _, _, err := resources.CertificateIn(published); err == nil {
			return resources.Authority{}, fmt.Errorf("the Secret %s is there by now: %w", published.Name, errChanged)
		}
	}
	signer, err := newAuthority(ctx, w, c, side)
	return resources.Authority{Signer: signer, Rotation: resources.CARotation(w.cluster)}, err
}

// replaced is an authority from scratch. Invariant: a recovery is under way, whose rule has seen that no Pod is left
// that trusts the former one.
func replaced(ctx context.Context, w *writer, c *state.Cluster, side state.Side) (resources.Authority, error) {
	r := c.Underway()
	if r == nil {
		return resources.Authority{}, fmt.Errorf("no recovery is under way: %w", errChanged)
	}
	signer, err := newAuthority(ctx, w, c, side)
	return resources.Authority{Signer: signer, Rotation: resources.CARotation(w.cluster), Recovery: r.Loss.ID}, err
}

// bundleOf is the hash of what the recorded authority trusts; empty for one that cannot be read.
func bundleOf(s *corev1.Secret) string {
	a, err := resources.ParseAuthority(s)
	if err != nil {
		return ""
	}
	return a.Bundle
}

// ownSecret reads a Secret of the cluster live; nil when there is none.
func (w *writer) ownSecret(ctx context.Context, name string) (*corev1.Secret, error) {
	var seen corev1.Secret
	err := w.live.Get(ctx, clientKey(w.cluster.Namespace, name), &seen)
	switch owner := metav1.GetControllerOf(&seen); {
	case apierrors.IsNotFound(err):
		return nil, nil //nolint:nilnil // no Secret is an answer
	case err != nil:
		return nil, fmt.Errorf("read Secret %s: %w", name, err)
	case seen.Labels[resources.LabelCluster] != w.cluster.Name, owner != nil && owner.UID != w.cluster.UID:
		return nil, fmt.Errorf("the Secret %s belongs to something else: delete or rename it: %w", name, ErrConflict)
	case seen.DeletionTimestamp != nil:
		return nil, fmt.Errorf("the Secret %s is being deleted: %w", name, errChanged)
	}
	return &seen, nil
}

// putSecret writes the Secret in the place of the one that was seen, or as a new one. A change of its type needs a new
// object: the API server keeps the type for ever.
func (w *writer) putSecret(ctx context.Context, seen, desired *corev1.Secret) error {
	if seen == nil {
		return w.create(ctx, desired)
	}
	if err := w.mayAdopt(ctx, seen); err != nil {
		return err
	}
	if seen.Type != desired.Type {
		return w.remove(ctx, seen)
	}
	desired.UID, desired.ResourceVersion = seen.UID, seen.ResourceVersion
	desired.Labels = merged(seen.Labels, desired.Labels)
	desired.Annotations = merged(seen.Annotations, desired.Annotations)
	return w.update(ctx, desired)
}

// newAuthority is a CA of the operator's own or, in modes with a source, that of the source, without a key.
func newAuthority(ctx context.Context, w *writer, c *state.Cluster, side state.Side) (pki.Pair, error) {
	if c.TLS.Managed {
		name := w.cluster.Name + " " + string(side)
		ca, err := pki.NewCA(name, c.Now, resources.CALifetime(w.cluster))
		if err != nil {
			return ca, fmt.Errorf("make a CA: %w", err)
		}
		return ca, nil
	}
	name := state.PeerCertificate
	if side == state.ClientSide {
		name = state.ServerCertificate
	}
	_, bundle, err := readSource(ctx, w, name)
	return pki.Pair{Cert: bundle.PEM()}, err
}

func readSource(ctx context.Context, w *writer, name state.CertificateName) (pki.Pair, pki.Bundle, error) {
	var s corev1.Secret
	source := resources.SourceSecretName(w.cluster, name)
	if err := w.live.Get(ctx, clientKey(w.cluster.Namespace, source), &s); err != nil {
		return pki.Pair{}, pki.Bundle{}, fmt.Errorf("read Secret %s: %w", source, err)
	}
	pair, _, bundle, err := resources.CertificateIn(&s)
	if err != nil {
		return pair, bundle, fmt.Errorf("the Secret %s %w", source, err)
	}
	return pair, bundle, nil
}

// rotated is the next step of a rotation, from the authority as it is recorded now.
func rotated(
	ctx context.Context, w *writer, c *state.Cluster, s plan.SetAuthority, seen *corev1.Secret,
) (resources.Authority, error) {
	if seen == nil {
		return resources.Authority{}, fmt.Errorf("the %s CA is gone: %w", s.Side, errChanged)
	}
	now, err := resources.ReadAuthority(seen)
	if err != nil {
		return now, fmt.Errorf("the %s CA: %s: %w", s.Side, err.Error(), errChanged)
	}
	if bundle, err := now.Bundle(); err != nil || bundle.Hash() != c.TLS.Authority(s.Side).Bundle {
		return now, fmt.Errorf("the %s CA: %w", s.Side, errChanged)
	}
	switch s.Change {
	case plan.BeginRotation:
		now.Next, err = newAuthority(ctx, w, c, s.Side)
		now.Rotation = resources.CARotation(w.cluster)
		return now, err
	case plan.SwitchAuthority:
		former, err := pki.ParseBundle(now.Signer.Cert)
		if err != nil || len(now.Next.Cert) == 0 {
			return now, fmt.Errorf("the %s CA: %w", s.Side, errors.Join(err, errChanged))
		}
		now.Previous = now.Previous.With(former)
		now.Signer, now.Next = now.Next, pki.Pair{}
	case plan.FinishRotation:
		now.Previous = pki.Bundle{}
	}
	return now, nil
}

// restored makes the record of a lost authority from what the Pods trust and what is published: that signs, without a
// key, and a new one is the next.
func restored(ctx context.Context, w *writer, c *state.Cluster, side state.Side) (resources.Authority, error) {
	var now resources.Authority
	trusted, err := trustedNow(ctx, w, c, side)
	if err != nil {
		return now, err
	}
	name := state.PeerCertificate
	if side == state.ClientSide {
		name = state.ServerCertificate
	}
	signer := pki.NewBundle(trusted.Certificates()[0])
	published := &corev1.Secret{}
	err = w.live.Get(ctx, clientKey(w.cluster.Namespace, resources.CertificateSecretName(w.cluster.Name, name)), published)
	if client.IgnoreNotFound(err) != nil {
		return now, fmt.Errorf("read the %s certificate: %w", name, err)
	}
	chain := published.Data[corev1.TLSCertKey]
	if last, known := w.observer.LastPublished(c, name); known && trusted.IssuerOf(chain) == nil {
		chain = last.Cert
	}
	if issuer := trusted.IssuerOf(chain); issuer != nil {
		signer = pki.NewBundle(issuer)
	}
	for _, cert := range trusted.Certificates() {
		if one := pki.NewBundle(cert); !signer.Contains(one) {
			now.Previous = now.Previous.With(one)
		}
	}
	now.Signer.Cert = signer.PEM()
	now.Rotation = resources.CARotation(w.cluster)
	now.Next, err = newAuthority(ctx, w, c, side)
	if bytes.Equal(now.Next.Cert, now.Signer.Cert) {
		now.Next = pki.Pair{} // the source still has the one that signed
	}
	return now, err
}

func trustedNow(ctx context.Context, w *writer, c *state.Cluster, side state.Side) (pki.Bundle, error) {
	var trusted pki.Bundle
	for _, p := range c.Pods() {
		if _, found := c.TLS.Trusts[p.Trust]; !found {
			continue
		}
		var cm corev1.ConfigMap
		if err := w.Get(ctx, clientKey(w.cluster.Namespace, p.Trust), &cm); err != nil {
			return trusted, fmt.Errorf("read ConfigMap %s: %w", p.Trust, err)
		}
		peer, clients, err := resources.ReadTrust(w.cluster.Name, &cm)
		if err != nil {
			return trusted, fmt.Errorf("ConfigMap %s: %s: %w", p.Trust, err.Error(), errChanged)
		}
		if side == state.PeerSide {
			trusted = trusted.With(peer)
		} else {
			trusted = trusted.With(clients)
		}
	}
	byPods := trusted
	for _, name := range state.CertificateNames() {
		published := c.TLS.Certificates[name]
		if name.Side() != side || !published.Exists {
			continue
		}
		s, err := w.ownSecret(ctx, published.Secret)
		if err != nil || s == nil {
			return trusted, fmt.Errorf("the %s certificate: %w", name, errors.Join(err, errChanged))
		}
		pair, _, bundle, err := resources.CertificateIn(s)
		if err != nil {
			return trusted, fmt.Errorf("the %s certificate: %s: %w", name, err.Error(), errChanged)
		}
		if byPods.Empty() || byPods.IssuerOf(pair.Cert) != nil { // else somebody else put it there
			trusted = trusted.With(bundle)
		}
	}
	if trusted.Empty() {
		return trusted, fmt.Errorf("what the members trust: %w", errChanged)
	}
	return trusted, nil
}
