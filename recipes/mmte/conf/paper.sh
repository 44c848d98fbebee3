# The paper's own values (Siddhant et al. 2020, section 2). Its corpus is 25 billion pairs of an in-house crawl, in 102 languages. Here,
# conf/paper.tsv names public corpora of these languages for mtdata (pip install mtdata): CCMatrix where there is one, else NLLB or
# CCAligned; Corsican and Hawaiian have three small sets; Hmong has none for training, and is left out. The names are those of the index
# of mtdata 0.5.1, which has no checksums: note the sizes of what it fetches. None of these corpora was ever downloaded here, and this
# configuration was never trained. PAIRS limits the pairs per language: the first ones of what mtdata fetches whole.
#
# For corpora of your own, put {train,valid,test}.en-XX.{en,XX}.txt of each language into one folder: --set PREPARED=FOLDER. The test set
# is NTREX-128, whose sentences are left out of mtdata's. The paper does not give dropout, label smoothing, batch size or the number of
# updates: the values below are ours.
#
# In fp16, with batches of 64 times MAX_TOKENS on each (--dry-run prints these and all other commands):
# One GPU:        recipes/mmte/run.sh --conf paper --set UPDATE_FREQUENCY=64
# 8 GPUs:         recipes/launch/torchrun.sh --gpus 8 recipes/mmte/run.sh --conf paper --set UPDATE_FREQUENCY=8
# several nodes:  sbatch --nodes 8 recipes/launch/slurm.sh recipes/mmte/run.sh --conf paper --work SHARED
#            or:  python recipes/launch/submitit_train.py --nodes 8 -- recipes/mmte/run.sh --conf paper --work SHARED
#                 after stages 0 to 2 (--stop-stage 2) and before stages 4 to 8 (--stage 4) on one machine
MTDATA=recipes/mmte/conf/paper.tsv
ALL_GPUS=64
PREPARED=""
LANGUAGE_SETS="af,am,ar,az,be,bg,bn,bs,ca,ceb,co,cs,cy,da,de,el,eo,es,et,eu,fa,fi,fil,fr,fy,ga,gd,gl,gu,ha,haw,hi,hr,ht,hu,hy,id,ig,is,it,he,ja,jv,ka,kk,km,kn,ko,ku,ky,la,lb,lo,lt,lv,mg,mi,mk,ml,mn,mr,ms,mt,my,ne,nl,nb,ny,pa,pl,ps,pt,ro,ru,sd,si,sk,sl,sm,sn,so,sq,sr,st,su,sv,sw,ta,te,tg,th,tr,uk,ur,uz,vi,xh,yi,yo,zh-Hans,zu"
TARGET_TOKENS=source            # section 2.2
TEMPERATURES=5                  # section 2.2
NTREX=1
DEVICE=gpu
PRECISION=fp16
ARCH=mmte_big                   # section 2.1: 6 layers, 16 heads, 8192
VOCABULARY=64000                # section 2.2
SUBWORD_OPTIONS="--character-coverage 0.999995 --sentences 20000000"   # section 2.2
PRESET=mmte                     # section 2.1: Adafactor, (3.0, 40k), clipping per parameter
INTENT_PRESET=mmte-intent       # section 3.3: (0.1, 100k)
POS_PRESET=mmte-tagging         # section 3.4: (0.1, 40k)
UPDATES=500000
MAX_TOKENS=8000                 # per GPU
LEARNING_RATE=4.6875e-4         # section 2.1, converted: 3.0 / sqrt(1024 x 40,000); the preset has the same
WARMUP=40000                    # section 2.1
MAX_LENGTH=256
SAVE_INTERVAL=5000
TAG_UPDATES=20000
TAG_LEARNING_RATE=1e-5
TAG_BATCH=32
MINUTES_PER_RUN=20000
GIGABYTES_PER_RUN=64
MEGABYTES_PER_RUN=40000
