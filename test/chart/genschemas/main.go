// Command genschemas writes the JSON Schemas of the Kubernetes kinds that the chart uses, from the
// OpenAPI document that comes with Kubernetes: strict, so that a field that does not exist is
// found, and each by itself, as kubeconform reads them.
//
//	go run ./test/chart/genschemas SWAGGER.json DIR
package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// kinds are those of the chart, by the name of their definition.
var kinds = map[string]string{
	"io.k8s.api.apps.v1.Deployment":                     "deployment-apps-v1",
	"io.k8s.api.apps.v1.StatefulSet":                    "statefulset-apps-v1",
	"io.k8s.api.autoscaling.v2.HorizontalPodAutoscaler": "horizontalpodautoscaler-autoscaling-v2",
	"io.k8s.api.batch.v1.Job":                           "job-batch-v1",
	"io.k8s.api.core.v1.ConfigMap":                      "configmap-v1",
	"io.k8s.api.core.v1.Pod":                            "pod-v1",
	"io.k8s.api.core.v1.Service":                        "service-v1",
	"io.k8s.api.core.v1.ServiceAccount":                 "serviceaccount-v1",
	"io.k8s.api.networking.v1.NetworkPolicy":            "networkpolicy-networking-v1",
	"io.k8s.api.policy.v1.PodDisruptionBudget":          "poddisruptionbudget-policy-v1",
}

func main() {
	const args = 3
	if len(os.Args) != args {
		fmt.Fprintln(os.Stderr, "usage: genschemas SWAGGER.json DIR")
		os.Exit(2)
	}
	if err := run(os.Args[1], os.Args[2]); err != nil {
		fmt.Fprintln(os.Stderr, "genschemas:", err)
		os.Exit(1)
	}
}

func run(swagger, dir string) error {
	text, err := os.ReadFile(filepath.Clean(swagger))
	if err != nil {
		return err
	}
	var doc struct{ Definitions map[string]any }
	if err := json.Unmarshal(text, &doc); err != nil {
		return fmt.Errorf("%s: %w", swagger, err)
	}
	for definition, name := range kinds {
		schema, ok := doc.Definitions[definition]
		if !ok {
			return fmt.Errorf("%s has no %s", swagger, definition)
		}
		out, err := json.Marshal(flat(doc.Definitions, schema))
		if err != nil {
			return err
		}
		const readable = 0o644
		if err := os.WriteFile(filepath.Join(dir, name+".json"), append(out, '\n'), readable); err != nil {
			return err
		}
	}
	return nil
}

// flat puts definitions in the place of references, leaves descriptions out, and forbids fields
// that are not named.
func flat(definitions map[string]any, node any) any {
	switch n := node.(type) {
	case []any:
		list := make([]any, len(n))
		for i := range n {
			list[i] = flat(definitions, n[i])
		}
		return list
	case map[string]any:
		if ref, ok := n["$ref"].(string); ok {
			name := strings.TrimPrefix(ref, "#/definitions/")
			switch name {
			case "io.k8s.apimachinery.pkg.util.intstr.IntOrString":
				return map[string]any{"type": []string{"string", "integer"}}
			case "io.k8s.apimachinery.pkg.api.resource.Quantity":
				return map[string]any{"type": []string{"string", "number"}}
			}
			return flat(definitions, definitions[name])
		}
		object := map[string]any{}
		for key, value := range n {
			if _, text := value.(string); key == "description" && text || strings.HasPrefix(key, "x-kubernetes-") || key == "format" && text {
				continue
			}
			object[key] = flat(definitions, value)
		}
		if _, named := n["properties"].(map[string]any); named && n["type"] == "object" {
			object["additionalProperties"] = false
		}
		return object
	}
	return node
}
