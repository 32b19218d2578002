package audit

import (
	"fmt"
	"slices"
	"strings"

	rbacv1 "k8s.io/api/rbac/v1"
)

// Right is one verb on one resource that a role grants.
type Right struct {
	Verb  string
	Group string
	// Resource is "pods" or, with a subresource, "pods/status".
	Resource string
	// Namespace is where it holds; empty means everywhere.
	Namespace string
	// Name is the only object for which it holds; empty means all.
	Name string
}

// String is "get pods" or, with what is set, "get leases of coordination.k8s.io named demo in namespace ns".
func (r Right) String() string {
	s := r.Verb + " " + r.Resource
	for _, part := range []struct{ word, value string }{
		{" of ", r.Group}, {" named ", r.Name}, {" in namespace ", r.Namespace},
	} {
		if part.value != "" {
			s += part.word + part.value
		}
	}
	return s
}

// Covers tells that the right allows the request.
func (r Right) Covers(q Request) bool {
	return r.Verb == q.Verb && r.Group == q.Group && r.Resource == q.Resource &&
		(r.Namespace == "" || r.Namespace == q.Namespace) && (r.Name == "" || r.Name == q.Name)
}

// Rights are what rules grant in a namespace, or everywhere when it is empty. A wildcard is an error: nobody can use
// all that it grants. So is a URL of no resource, because requests for those are not compared.
func Rights(rules []rbacv1.PolicyRule, namespace string) ([]Right, error) {
	var rights []Right
	for _, rule := range rules {
		if len(rule.NonResourceURLs) > 0 {
			return nil, fmt.Errorf("the URLs %v are granted: whether they are used is not known", rule.NonResourceURLs)
		}
		names := rule.ResourceNames
		if len(names) == 0 {
			names = []string{""}
		}
		for _, group := range rule.APIGroups {
			for _, resource := range rule.Resources {
				for _, verb := range rule.Verbs {
					for _, name := range names {
						rights = append(rights, Right{verb, group, resource, namespace, name})
					}
				}
			}
		}
	}
	for _, r := range rights {
		if strings.Contains(r.Verb+r.Group+r.Resource, "*") {
			return nil, fmt.Errorf("the right to %s has a wildcard: name what is used", r)
		}
	}
	return rights, nil
}

// Findings are how rights and requests differ.
type Findings struct {
	// Unused are rights that allowed no request.
	Unused []Right
	// Refused are forbidden requests, the first of each kind.
	Refused []Request
	// Unexplained are requests that were granted by none of the rights, the first of each kind.
	Unexplained []Request
}

// Compare compares what was granted with what was asked for. A request that was refused because its namespace is being
// removed says nothing about rights.
func Compare(granted []Right, requests []Request) Findings {
	var f Findings
	used := map[Right]bool{}
	seen := map[Right]bool{}
	for _, q := range requests {
		if passing(q.Refused) || q.Resource == "" {
			continue
		}
		covered := false
		for _, r := range granted {
			if r.Covers(q) {
				used[r], covered = true, true
			}
		}
		// Requests are of one kind when they want the same of the same resource, whatever the namespace.
		kind := Right{Verb: q.Verb, Group: q.Group, Resource: q.Resource}
		switch {
		case q.Refused != "" && !seen[kind]:
			seen[kind] = true
			f.Refused = append(f.Refused, q)
		case q.Refused == "" && !covered && !seen[kind]:
			seen[kind] = true
			f.Unexplained = append(f.Unexplained, q)
		}
	}
	f.Unused = slices.DeleteFunc(slices.Clone(granted), func(r Right) bool { return used[r] })
	return f
}

// passing tells of a refusal that no right would have prevented: in a namespace that ends, by a quota, of a volume
// whose storage class permits no expansion, of more cpu than the Pod's node has, and within half a minute after the CRD
// was installed, while the plugin that guards owner references does not know the kind yet
// (OwnerReferencesPermissionEnforcement).
func passing(refused string) bool {
	return strings.HasSuffix(refused, "because it is being terminated") ||
		strings.Contains(refused, "exceeded quota: ") ||
		strings.Contains(refused, "only dynamically provisioned pvc can be resized") ||
		strings.Contains(refused, "node didn't have enough allocatable resources") ||
		strings.Contains(refused, "cannot find RESTMapping for APIVersion quorate.dev/")
}
