package audit

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	rbacv1 "k8s.io/api/rbac/v1"
)

// rule grants verbs, separated by spaces, on resources of a group.
func rule(verbs, group string, resources ...string) rbacv1.PolicyRule {
	return rbacv1.PolicyRule{Verbs: strings.Fields(verbs), APIGroups: []string{group}, Resources: resources}
}

func named(r rbacv1.PolicyRule, names ...string) rbacv1.PolicyRule {
	r.ResourceNames = names
	return r
}

// asked is a request for an object in a namespace.
func asked(verb, group, resource, namespace, name string) Request {
	return Request{Verb: verb, Group: group, Resource: resource, Namespace: namespace, Name: name}
}

func refused(r Request, reason string) Request {
	r.Refused = reason
	return r
}

func TestRightsAndRequestsAreCompared(t *testing.T) {
	getPod := asked("get", "", "pods", "shop", "demo-0")
	for name, tc := range map[string]struct {
		// everywhere and inShop are the rules that hold in all namespaces, and in the namespace shop only.
		everywhere, inShop []rbacv1.PolicyRule
		requests           []Request
		unused             []string
		refused            []string
		unexplained        []string
	}{
		"all that is granted is used": {
			everywhere: []rbacv1.PolicyRule{rule("get list", "", "pods")},
			requests:   []Request{getPod, asked("list", "", "pods", "", "")},
		},
		"a verb that nothing uses": {
			everywhere: []rbacv1.PolicyRule{rule("get delete", "", "pods")},
			requests:   []Request{getPod},
			unused:     []string{"delete pods"},
		},
		"nothing was asked for at all": {
			everywhere: []rbacv1.PolicyRule{rule("get", "", "pods")},
			unused:     []string{"get pods"},
		},
		"a subresource is a resource of its own": {
			everywhere: []rbacv1.PolicyRule{rule("get", "", "pods", "pods/status")},
			requests:   []Request{getPod},
			unused:     []string{"get pods/status"},
		},
		"a group is not another one": {
			everywhere: []rbacv1.PolicyRule{rule("create", "events.k8s.io", "events"), rule("create", "", "events")},
			requests:   []Request{asked("create", "", "events", "shop", "demo")},
			unused:     []string{"create events of events.k8s.io"},
		},
		"a right in a namespace is not used in another one": {
			everywhere: []rbacv1.PolicyRule{rule("get", "", "pods")},
			inShop:     []rbacv1.PolicyRule{rule("get", "", "pods")},
			requests:   []Request{asked("get", "", "pods", "other", "demo-0")},
			unused:     []string{"get pods in namespace shop"},
		},
		"a right to one object is not used by another one": {
			inShop:      []rbacv1.PolicyRule{named(rule("update", "", "pods"), "demo-0", "demo-1")},
			requests:    []Request{asked("update", "", "pods", "shop", "demo-0"), asked("update", "", "pods", "shop", "demo-2")},
			unused:      []string{"update pods named demo-1 in namespace shop"},
			unexplained: []string{"update pods shop/demo-2"},
		},
		"a request that is refused": {
			everywhere: []rbacv1.PolicyRule{rule("get", "", "pods")},
			requests: []Request{
				getPod, refused(asked("delete", "", "pods", "shop", "demo-0"), "it may not"),
				refused(asked("delete", "", "pods", "shop", "demo-1"), "it may not"),
			},
			refused: []string{"delete pods shop/demo-0"},
		},
		"a request that is refused although it is granted": {
			everywhere: []rbacv1.PolicyRule{rule("create", "", "pods")},
			requests:   []Request{refused(asked("create", "", "pods", "shop", ""), "an admission plugin wants more")},
			refused:    []string{"create pods shop/"},
		},
		"a request that comes while its namespace is removed": {
			everywhere: []rbacv1.PolicyRule{rule("get", "", "pods")},
			requests: []Request{getPod, refused(asked("create", "", "pods", "shop", ""),
				`pods "demo-0" is forbidden: unable to create new content in namespace shop because it is being terminated`)},
		},
		"a request that a quota refuses, and those for more than a storage class permits or a node has": {
			everywhere: []rbacv1.PolicyRule{rule("get", "", "pods")},
			requests: []Request{
				getPod,
				refused(asked("create", "", "pods", "shop", ""), `pods "demo-1" is forbidden: exceeded quota: few, requested: pods=1`),
				refused(asked("patch", "", "persistentvolumeclaims", "shop", ""), `persistentvolumeclaims "demo-0" is forbidden: `+
					`only dynamically provisioned pvc can be resized and the storageclass that provisions the pvc must support resize`),
				refused(asked("patch", "", "pods/resize", "shop", ""), `pods "demo-1" is forbidden: `+
					`node didn't have enough allocatable resources: cpu, requested: 4000000, allocatable: 2000`),
			},
		},
		"a request that comes while the API server does not know the kind of the owner yet": {
			everywhere: []rbacv1.PolicyRule{rule("get", "", "pods")},
			requests: []Request{getPod, refused(asked("create", "", "secrets", "shop", ""),
				`secrets "demo-peer-ca" is forbidden: cannot set blockOwnerDeletion in this case because cannot find RESTMapping `+
					`for APIVersion quorate.dev/v1alpha1 Kind EtcdCluster: no matches for kind "EtcdCluster"`)},
		},
		"a request that was allowed by something else": {
			everywhere:  []rbacv1.PolicyRule{rule("get", "", "pods")},
			requests:    []Request{getPod, asked("list", "", "pods", "", "")},
			unexplained: []string{"list pods /"},
		},
		"discovery, which everybody may do": {
			everywhere: []rbacv1.PolicyRule{rule("get", "", "pods")},
			requests:   []Request{getPod, asked("get", "", "", "", "")},
		},
	} {
		t.Run(name, func(t *testing.T) {
			f := Compare(append(rights(t, tc.everywhere, ""), rights(t, tc.inShop, "shop")...), tc.requests)
			var unused []string
			for _, r := range f.Unused {
				unused = append(unused, r.String())
			}
			for what, diff := range map[string]string{
				"unused rights":        cmp.Diff(tc.unused, unused),
				"refused requests":     cmp.Diff(tc.refused, objects(f.Refused)),
				"unexplained requests": cmp.Diff(tc.unexplained, objects(f.Unexplained)),
			} {
				if diff != "" {
					t.Errorf("%s (-want +got):\n%s", what, diff)
				}
			}
		})
	}
}

func rights(t *testing.T, rules []rbacv1.PolicyRule, namespace string) []Right {
	t.Helper()
	found, err := Rights(rules, namespace)
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func objects(requests []Request) []string {
	var out []string
	for _, r := range requests {
		out = append(out, r.Verb+" "+r.Resource+" "+r.Namespace+"/"+r.Name)
	}
	return out
}

func TestRightsThatCannotBeComparedAreAnError(t *testing.T) {
	for name, tc := range map[string]struct {
		rule rbacv1.PolicyRule
		want string
	}{
		"all verbs":            {rule("*", "", "pods"), "wildcard"},
		"all resources":        {rule("get", "", "*"), "wildcard"},
		"all groups":           {rule("get", "*", "pods"), "wildcard"},
		"a URL of no resource": {rbacv1.PolicyRule{Verbs: []string{"get"}, NonResourceURLs: []string{"/metrics"}}, "/metrics"},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := Rights([]rbacv1.PolicyRule{tc.rule}, "")
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("got %v, %v; want an error that tells %s", got, err, tc.want)
			}
		})
	}
}
