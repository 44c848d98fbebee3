# The parallel treebanks of Universal Dependencies (PUD), by language: treebank_of LANGUAGE.

treebank_of() {
    case "$1" in
        ar) echo arabic ;; de) echo german ;; es) echo spanish ;; fr) echo french ;; hi) echo hindi ;; id) echo indonesian ;;
        it) echo italian ;; ja) echo japanese ;; ru) echo russian ;; tr) echo turkish ;; zh | zh-Hans) echo chinese ;; *) echo none ;;
    esac
}
