//go:build e2e

package e2e

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/quorate/quorate/test/framework"
	"github.com/quorate/quorate/test/framework/audit"
)

// rightsWithoutRequest are the operator's rights that the tests show no request for, each with the reason why the
// operator has it. One that the roles do not grant is a failure.
func rightsWithoutRequest() map[string]string {
	rights := map[string]string{
		"update etcdclusters/finalizers of quorate.dev": "OwnerReferencesPermissionEnforcement wants it of whoever sets " +
			"an owner reference that blocks deletion, without a request of its own",
		"delete certificates of cert-manager.io": "OwnerReferencesPermissionEnforcement wants it of whoever gives an object " +
			"an owner, without a request of its own: one that a former EtcdCluster has left, or whose owner somebody took",
	}
	for _, watched := range []string{
		"nodes", "persistentvolumes", "services", "networkpolicies of networking.k8s.io", "poddisruptionbudgets of policy",
		"etcdclusters of quorate.dev",
	} {
		rights["list "+watched] = "a watch begins with a list where the API server cannot stream one (WatchList)"
	}
	for _, applied := range []string{
		"services", "networkpolicies of networking.k8s.io", "poddisruptionbudgets of policy",
	} {
		rights["create "+applied] = "a patch that applies an object which is not there is authorised as its creation too"
	}
	if os.Getenv("QUORATE_E2E") != "full" {
		for _, verb := range []string{"get", "create", "patch"} {
			rights[verb+" certificates of cert-manager.io"] = "only the tests with cert-manager, which are long, use it"
		}
	}
	return rights
}

// checkRights compares what the operator was granted with what it asked for since a moment, and returns the exit code
// of the tests: a right that nothing used is a failure, and so is a request that is not granted. It comes after all
// tests, because only all of them together use all rights.
func checkRights(since time.Time, code int) int {
	problems, reason := rightsProblems(since, code)
	switch {
	case reason != "":
		fmt.Println("rights of the operator: not compared with its requests:", reason)
	case len(problems) == 0:
		fmt.Println("rights of the operator: none that it does not need, and no request that was refused")
	}
	for _, p := range problems {
		fmt.Println("rights of the operator: FAIL:", p)
		code = max(code, 1)
	}
	return code
}

// rightsProblems are how rights and requests differ, or the reason why they were not compared.
func rightsProblems(since time.Time, code int) (problems []string, reason string) {
	for _, name := range []string{"test.run", "test.skip", "test.list"} {
		if f := flag.Lookup(name); f != nil && f.Value.String() != "" {
			return nil, "only some tests were chosen (-" + strings.TrimPrefix(name, "test.") + ")"
		}
	}
	e, err := environment()
	switch {
	case err != nil:
		return nil, err.Error()
	case e.Provider != framework.Local:
		return nil, "only the local Kubernetes has an audit log that tells reads too"
	}
	granted, f, err := compareRights(e, since)
	if err != nil {
		return []string{err.Error()}, ""
	}
	for _, q := range f.Refused {
		problems = append(problems, fmt.Sprintf("refused: %s: %s", q, q.Refused))
	}
	for _, q := range f.Unexplained {
		problems = append(problems, fmt.Sprintf("allowed by something else than its roles: %s", q))
	}
	if code != 0 {
		return problems, "a test failed, and may not have used what it was to use; only refused requests are told"
	}
	return append(problems, unusedProblems(granted, f.Unused, rightsWithoutRequest())...), ""
}

func compareRights(e *framework.Environment, since time.Time) ([]audit.Right, audit.Findings, error) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	requests, err := e.Requests(framework.OperatorUser, since)
	if err != nil {
		return nil, audit.Findings{}, err
	}
	if !slices.ContainsFunc(requests, func(q audit.Request) bool { return !q.Change() }) {
		return nil, audit.Findings{}, errors.New("the audit log tells nothing that the operator read: this Kubernetes was " +
			"started with another audit policy; run \"make kube-down kube-up\"")
	}
	granted, err := e.RightsOf(ctx, framework.OperatorUser)
	if err != nil {
		return nil, audit.Findings{}, err
	}
	return granted, audit.Compare(granted, requests), nil
}

// unusedProblems are the unused rights without a reason, and the reasons for rights that are not granted.
func unusedProblems(granted, unused []audit.Right, reasons map[string]string) []string {
	var problems []string
	for _, right := range unused {
		if reasons[right.String()] == "" {
			problems = append(problems, "granted, but nothing used it: "+right.String())
		}
	}
	for right := range reasons {
		if !slices.ContainsFunc(granted, func(r audit.Right) bool { return r.String() == right }) {
			problems = append(problems, "it needs no reason, because it is not granted: "+right)
		}
	}
	return problems
}
