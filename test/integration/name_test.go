package integration

import (
	"strings"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

const wantName = "must be a DNS-1035 label (lower-case letters, digits and '-', starting with a letter) of at most 45"

func TestRefusedNames(t *testing.T) {
	namespace := newNamespace(t)
	for _, c := range []struct{ name, object, wanted string }{
		{"a digit at the start", "1demo", wantName},
		{"only a digit", "1", wantName},
		{"a dot", "demo.example", wantName},
		{"46 characters", strings.Repeat("a", 46), wantName},
		{"as long as Kubernetes allows", strings.Repeat("a", 253), wantName},
		{"a dash at the end", "demo-", "a lowercase RFC 1123 subdomain must consist of"},
		{"upper case", "Demo", "a lowercase RFC 1123 subdomain must consist of"},
	} {
		t.Run(c.name, func(t *testing.T) {
			object := etcdCluster(t, namespace, c.object, `{}`)
			refused(t, server.Client.Create(t.Context(), object), c.wanted)
			absent(t, object)
		})
	}
}

func TestAcceptedNames(t *testing.T) {
	namespace := newNamespace(t)
	for _, name := range []string{"a", "demo", "demo-1", "a1", "a--b", strings.Repeat("a", 45)} {
		t.Run(name, func(t *testing.T) {
			createCluster(t, namespace, name, `{}`)
		})
	}
}

func TestMisspelledFieldsAreRefusedUnderStrictValidation(t *testing.T) {
	// kubectl asks for strict validation unless it is told otherwise.
	strict := client.WithFieldValidation(server.Client, "Strict")
	namespace := newNamespace(t)
	for _, c := range []struct{ name, spec, wanted string }{
		{"a misspelled field", `{replica: 3}`, `unknown field "spec.replica"`},
		{"a Pod field that belongs to the operator", `{podTemplate: {spec: {hostNetwork: true}}}`,
			`unknown field "spec.podTemplate.spec.hostNetwork"`},
		{"a restart policy", `{podTemplate: {spec: {restartPolicy: Never}}}`,
			`unknown field "spec.podTemplate.spec.restartPolicy"`},
	} {
		t.Run(c.name, func(t *testing.T) {
			object := etcdCluster(t, namespace, "demo", c.spec)
			err := strict.Create(t.Context(), object)
			if !apierrors.IsBadRequest(err) || !strings.Contains(err.Error(), c.wanted) {
				t.Errorf("got %v, want a bad request with %q", err, c.wanted)
			}
			absent(t, object)
		})
	}
}
