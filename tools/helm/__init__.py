"""The templates of the Helm chart, generated from the kustomize manifests."""
