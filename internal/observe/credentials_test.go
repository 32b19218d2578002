package observe

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/quorate/quorate/api/v1alpha1"
	"github.com/quorate/quorate/internal/kubetest"
	"github.com/quorate/quorate/internal/pki"
	"github.com/quorate/quorate/internal/pki/pkitest"
	"github.com/quorate/quorate/internal/state"
	"github.com/quorate/quorate/internal/state/statetest"
)

func TestTheOperatorUsesItsCertificate(t *testing.T) {
	kept := kubetest.NewTLS(t, kubetest.Cluster(v1alpha1.TLSManaged), statetest.Now)
	const secret = "demo-operator-tls"
	before := kept.Certificates[state.OperatorCertificate]
	renewed := kept.Issue(state.OperatorCertificate, statetest.Now)
	renew := kubetest.Changing(secret, func(s *corev1.Secret) {
		s.Data["tls.crt"], s.Data["tls.key"] = renewed.Cert, renewed.Key
	})
	server, clients := kept.Certificates[state.ServerCertificate], kept.Certificates[state.ClientCertificate]
	foreignCA := pkitest.CA(t, "foreign", statetest.Now)
	foreign := pkitest.Leaf(t, foreignCA, statetest.Now)
	ofAnotherCA := kubetest.Changing(secret, func(s *corev1.Secret) {
		s.Data["tls.crt"], s.Data["tls.key"], s.Data["ca.crt"] = foreign.Cert, foreign.Key, foreignCA.Cert
	})
	type changes = []func(client.Object) client.Object
	for name, tc := range map[string]struct {
		change changes
		want   pki.Pair
	}{
		"a renewed one takes effect":                               {changes{renew}, renewed},
		"in place of a damaged one the members' serves":            {changes{renew, kubetest.Changing(secret, garbage("tls.key"))}, server},
		"in place of a deleted one the members' serves":            {changes{kubetest.Without(secret)}, server},
		"in place of somebody else's the members' serves":          {changes{renew, kubetest.Changing(secret, somebodyElses)}, server},
		"in place of one that lost its label the members' serves":  {changes{renew, kubetest.Changing(secret, unlabelled)}, server},
		"in place of one of another CA the members' serves":        {changes{ofAnotherCA}, server},
		"in place of both the clients' serves":                     {changes{kubetest.Without(secret, "demo-server-tls")}, clients},
		"without any the former stays in use":                      {changes{kubetest.Without(secret, "demo-server-tls", "demo-client-tls")}, before},
		"while the CA is lost nobody knows which is of another CA": {changes{renew, kubetest.Without("demo-client-ca")}, renewed},
	} {
		t.Run(name, func(t *testing.T) {
			o := tlsObserver(kubetest.New(t))
			for _, objects := range [][]client.Object{kept.Objects(), kept.Objects(tc.change...)} {
				api := kubetest.New(t, objects...)
				o.Live = api
				if _, err := o.Observe(t.Context(), labelled{Reader: api}, kept.Cluster); err != nil {
					t.Fatal(err)
				}
			}
			peer, held := o.Credentials.Certificates("shop/demo")
			requireCertificate(t, "as a client", held, tc.want)
			requireCertificate(t, "to ask what peers serve", peer, kept.Certificates[state.PeerCertificate])
		})
	}
}

// An observation goes into logs and messages: no value of it may hold a private key.
func TestAnObservationHasNoRoomForAPrivateKey(t *testing.T) {
	for _, mode := range []v1alpha1.TLSMode{v1alpha1.TLSManaged, v1alpha1.TLSCertManager, v1alpha1.TLSSecrets} {
		kept := kubetest.NewTLS(t, kubetest.Cluster(mode), statetest.Now)
		api := kubetest.New(t, kept.Objects()...)
		got, err := tlsObserver(api).Observe(t.Context(), labelled{Reader: api}, kept.Cluster)
		if err != nil {
			t.Fatal(err)
		}
		asJSON, err := json.Marshal(got)
		if err != nil {
			t.Fatal(err)
		}
		text := fmt.Sprintf("%+v %#v %+v %#v %s", got, got, got.TLS, got.TLS, asJSON)
		if !strings.Contains(text, got.TLS.Certificates[state.PeerCertificate].Fingerprint) {
			t.Fatal("the text does not even hold the fingerprints")
		}
		if leak := kept.LeakOf(text); leak != "" {
			t.Errorf("mode %s: the observation shows %s", mode, leak)
		}
	}
	seen := map[reflect.Type]bool{}
	var walk func(path string, kind reflect.Type)
	walk = func(path string, kind reflect.Type) {
		if kind == reflect.TypeFor[pki.Pair]() || kind == reflect.TypeFor[[]byte]() {
			t.Errorf("%s may hold a private key", path)
		}
		if seen[kind] {
			return
		}
		seen[kind] = true
		switch kind.Kind() {
		case reflect.Pointer, reflect.Slice, reflect.Array, reflect.Map:
			walk(path, kind.Elem())
		case reflect.Struct:
			for i := range kind.NumField() {
				walk(path+"."+kind.Field(i).Name, kind.Field(i).Type)
			}
		}
	}
	walk("state.TLS", reflect.TypeFor[state.TLS]())
	walk("state.Member", reflect.TypeFor[state.Member]())
}
