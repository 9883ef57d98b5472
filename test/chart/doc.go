// Package chart holds what the Helm chart is tested with: values that must render, values that must be
// refused, and the schemas of the kinds of Kubernetes (scripts/chart-test, make chart-test). Its own test
// keeps the page of the chart in step with the values.
package chart
