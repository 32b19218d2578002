package act

import (
	"context"
	"fmt"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/quorate/quorate/internal/pki"
	"github.com/quorate/quorate/internal/plan"
	"github.com/quorate/quorate/internal/resources"
	"github.com/quorate/quorate/internal/state"
)

// publishCertificate writes the Secret of a certificate: with the CAs of its side as they are recorded now and, when it
// is renewed, a new certificate of the CA that signs now, or of its source.
func publishCertificate(ctx context.Context, w *writer, c *state.Cluster, s plan.PublishCertificate) error {
	authority, bundle, err := readAuthority(ctx, w, s.Name.Side())
	if err != nil {
		return err
	}
	if bundle.Hash() != c.TLS.Authority(s.Name.Side()).Bundle {
		return fmt.Errorf("the %s CA: %w", s.Name.Side(), errChanged)
	}
	seen, err := w.ownSecret(ctx, resources.CertificateSecretName(w.cluster.Name, s.Name))
	if err != nil {
		return err
	}
	var pair pki.Pair
	switch {
	case s.Renew:
		pair, err = renewed(ctx, w, c, s.Name, authority)
	case seen == nil:
		err = fmt.Errorf("the %s certificate is gone: %w", s.Name, errChanged)
	default:
		pair, _, _, err = resources.CertificateIn(seen)
	}
	if err != nil {
		return err
	}
	desired := resources.CertificateSecret(w.cluster, s.Name, pair, bundle, since(c, seen, pair, bundle))
	return w.putSecret(ctx, seen, desired)
}

// since is when clients could first load what is published: the CAs, and a certificate of this issuer.
func since(c *state.Cluster, seen *corev1.Secret, pair pki.Pair, bundle pki.Bundle) time.Time {
	if seen == nil {
		return c.Now
	}
	before, _, trusted, err := resources.CertificateIn(seen)
	at, recorded := resources.PublishedSince(seen)
	if err != nil || !recorded || trusted.Hash() != bundle.Hash() || !sameIssuer(bundle, before, pair) {
		return c.Now
	}
	return at
}

func sameIssuer(bundle pki.Bundle, a, b pki.Pair) bool {
	first, second := bundle.IssuerOf(a.Cert), bundle.IssuerOf(b.Cert)
	return first != nil && second != nil && first.Equal(second)
}

func readAuthority(ctx context.Context, w *writer, side state.Side) (resources.Authority, pki.Bundle, error) {
	s, err := w.ownSecret(ctx, resources.AuthorityName(w.cluster.Name, side))
	switch {
	case err != nil:
		return resources.Authority{}, pki.Bundle{}, err
	case s == nil:
		return resources.Authority{}, pki.Bundle{}, fmt.Errorf("the %s CA is gone: %w", side, errChanged)
	}
	a, err := resources.ReadAuthority(s)
	if err != nil {
		return a, pki.Bundle{}, fmt.Errorf("the %s CA: %s: %w", side, err.Error(), errChanged)
	}
	bundle, err := a.Bundle()
	return a, bundle, err
}

// renewed is a new certificate. One from a source must be of the CA that everybody trusts.
func renewed(
	ctx context.Context, w *writer, c *state.Cluster, name state.CertificateName, a resources.Authority,
) (pki.Pair, error) {
	if c.TLS.Certificates[name].Source == nil {
		if last, known := w.observer.LastPublished(c, name); known && len(a.Signer.Key) == 0 {
			return last, nil
		}
		pair, err := pki.Issue(a.Signer, c.TLS.Certificates[name].Wanted, c.Now)
		if err != nil {
			return pair, fmt.Errorf("issue the %s certificate: %w", name, err)
		}
		return pair, nil
	}
	pair, bundle, err := readSource(ctx, w, name)
	if err != nil {
		return pair, err
	}
	if bundle.Hash() != c.TLS.Authority(name.Side()).Signer.ID {
		return pair, fmt.Errorf("the source of the %s certificate: %w", name, errChanged)
	}
	return pair, nil
}

// publishTrust creates the ConfigMap. It never changes: one of this name has this content.
func publishTrust(ctx context.Context, w *writer, c *state.Cluster, s plan.PublishTrust) error {
	_, peer, err := readAuthority(ctx, w, state.PeerSide)
	if err != nil {
		return err
	}
	_, clients, err := readAuthority(ctx, w, state.ClientSide)
	if err != nil {
		return err
	}
	cm := resources.Trust(w.cluster, peer, clients, c.TLS.AnyPeerName)
	if cm.Name != s.Name {
		return fmt.Errorf("what members trust: %w", errChanged)
	}
	err = w.create(ctx, cm)
	if !apierrors.IsAlreadyExists(err) {
		return err
	}
	seen := &corev1.ConfigMap{}
	if err := w.live.Get(ctx, clientKey(cm.Namespace, cm.Name), seen); err != nil {
		return fmt.Errorf("read ConfigMap %s: %w", cm.Name, err)
	}
	owner := metav1.GetControllerOf(seen)
	if seen.Labels[resources.LabelCluster] != w.cluster.Name || owner != nil && owner.UID != w.cluster.UID {
		return fmt.Errorf("ConfigMap %s belongs to something else: delete or rename it: %w", cm.Name, ErrConflict)
	}
	_, damage := resources.ParseTrust(w.cluster.Name, seen)
	if damage == nil && seen.Labels[resources.ComponentLabel] == resources.ComponentTrust {
		return err // another operator published it since it was observed
	}
	// Its content or label is not what the name says: it cannot be mended in place, being immutable.
	return w.remove(ctx, seen)
}

// pruneTrust deletes ConfigMaps that no Pod mounts. The Pods are read live: a cache that shows the ConfigMap may not
// show a Pod yet.
func pruneTrust(ctx context.Context, w *writer, c *state.Cluster, s plan.PruneTrust) error {
	var pods corev1.PodList
	if err := w.live.List(ctx, &pods, client.InNamespace(w.cluster.Namespace),
		client.MatchingLabels{resources.LabelCluster: w.cluster.Name}); err != nil {
		return fmt.Errorf("list the Pods: %w", err)
	}
	for _, name := range s.Names {
		if slices.ContainsFunc(pods.Items, func(p corev1.Pod) bool { return resources.MountedTrust(&p) == name }) {
			return fmt.Errorf("ConfigMap %s is mounted: %w", name, errChanged)
		}
		cm := &corev1.ConfigMap{}
		cm.Namespace, cm.Name = w.cluster.Namespace, name
		if err := w.Get(ctx, clientKey(cm.Namespace, name), cm); err != nil {
			return fmt.Errorf("read ConfigMap %s: %w", name, err)
		}
		if cm.ResourceVersion != trustVersion(c.TLS, name) {
			return fmt.Errorf("ConfigMap %s: %w", name, errChanged)
		}
		if err := w.remove(ctx, cm); err != nil {
			return err
		}
	}
	return nil
}

func trustVersion(t *state.TLS, name string) string {
	if damaged, found := t.Damaged[name]; found {
		return damaged
	}
	return t.Trusts[name].ResourceVersion
}
