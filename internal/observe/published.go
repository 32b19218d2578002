package observe

import (
	"sync"

	corev1 "k8s.io/api/core/v1"

	"github.com/quorate/quorate/internal/pki"
	"github.com/quorate/quorate/internal/resources"
	"github.com/quorate/quorate/internal/state"
)

// published remembers the certificates that were last seen in their Secrets. When all Secrets are deleted at once, the
// key of the CA is lost with the certificates that it signed: members go on with the copies that they have, but one
// that stops could not start again. What the operator still knows is published again, until a new CA has taken over.
type published struct {
	mu       sync.Mutex
	clusters map[string]map[state.CertificateName]pki.Pair
}

func (p *published) keep(cluster string, name state.CertificateName, pair pki.Pair) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.clusters == nil {
		p.clusters = map[string]map[state.CertificateName]pki.Pair{}
	}
	if p.clusters[cluster] == nil {
		p.clusters[cluster] = map[state.CertificateName]pki.Pair{}
	}
	p.clusters[cluster][name] = pair
}

func (p *published) of(cluster string, name state.CertificateName) (pki.Pair, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	pair, known := p.clusters[cluster][name]
	return pair, known
}

func (p *published) forget(cluster string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.clusters, cluster)
}

// remember keeps the certificates that are fine, and finds for those that are lost the last one, if that is still good.
func (o *Observer) remember(c *state.Cluster, secrets secretsByName) {
	if !c.TLS.Managed {
		return
	}
	for _, name := range state.CertificateNames() {
		cert := c.TLS.Certificates[name]
		if s := secrets.own(c, cert.Secret); cert.Accepted() && s != nil {
			pair := pki.Pair{Cert: s.Data[corev1.TLSCertKey], Key: s.Data[corev1.TLSPrivateKeyKey]}
			o.published.keep(clusterKey(c), name, pair)
			continue
		}
		last, known := o.LastPublished(c, name)
		if !known || cert.Problem == resources.BelongsToOther {
			continue
		}
		parsed, err := pki.ParsePair(last)
		authority := secrets.own(c, resources.AuthorityName(c.Object.Name, name.Side()))
		issuer := resources.IssuerOfChain(authority, last.Cert)
		cert.Remembered = err == nil && c.Now.Before(parsed.NotAfter) && issuer != "" &&
			issuer == c.TLS.Authority(name.Side()).Signer.ID
		c.TLS.Certificates[name] = cert
	}
}

// LastPublished is the certificate that was last seen in its Secret since the operator started.
func (o *Observer) LastPublished(c *state.Cluster, name state.CertificateName) (pki.Pair, bool) {
	return o.published.of(clusterKey(c), name)
}

func clusterKey(c *state.Cluster) string { return c.Object.Namespace + "/" + c.Object.Name }
