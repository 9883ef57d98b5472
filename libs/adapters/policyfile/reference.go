package policyfile

import (
	"bytes"
	"fmt"
	"reflect"
	"strings"

	"github.com/neap-project/neap/libs/fleet"
)

// Reference describes every field of a policy as Markdown, made from its Go types.
func Reference() []byte {
	var b bytes.Buffer
	b.WriteString("# Policy reference\n\n" +
		"A policy is one YAML document per cluster: what its owner allows Neap to do and wants it to keep. Unknown keys are errors.\n" +
		"[examples/policy.yaml](examples/policy.yaml) is one to start from; `neap policy validate -o yaml FILE` prints a policy with\n" +
		"every default filled in, `neap policy schema` the JSON Schema.\n\n" +
		"| field | type | meaning |\n|---|---|---|\n")
	refer(&b, "", reflect.TypeFor[fleet.Policy]())
	b.WriteString("\nFields of a launch spec that are not set are taken from the first launch spec, but for `name`, `attributes` and `maxInstances`.\n" +
		"Every instance carries the ECS attributes `" + fleet.AttributeLifecycle + "` (on-demand or spot), `" + fleet.AttributeLaunchSpec + "` and, for constraints\n" +
		"written for another product, `" + fleet.AttributeLifecycleAlias + "` (od or spot). A service that must not run on spot says so with the placement\n" +
		"constraint `memberOf(attribute:" + fleet.AttributeLifecycle + " == on-demand)`.\n")
	return b.Bytes()
}

func refer(b *bytes.Buffer, prefix string, t reflect.Type) {
	for f := range t.Fields() {
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		path := prefix + name
		inner, kind := f.Type, describeType(f.Type)
		for inner.Kind() == reflect.Pointer || inner.Kind() == reflect.Slice {
			if inner.Kind() == reflect.Slice && inner.Elem().Kind() == reflect.Struct {
				path += "[]"
			}
			inner = inner.Elem()
		}
		fmt.Fprintf(b, "| `%s` | %s | %s |\n", path, kind, f.Tag.Get("desc"))
		if inner.Kind() == reflect.Struct {
			refer(b, path+".", inner)
		}
	}
}

// describeType names a type as YAML has it.
func describeType(t reflect.Type) string {
	if t == reflect.TypeFor[fleet.Duration]() {
		return "duration"
	}
	switch t.Kind() {
	case reflect.Pointer:
		return describeType(t.Elem())
	case reflect.Slice:
		return "list of " + describeType(t.Elem())
	case reflect.Map:
		return "map"
	case reflect.Struct:
		return "object"
	case reflect.Int, reflect.Int64:
		return "number"
	case reflect.Bool:
		return "true or false"
	default:
		return "text"
	}
}
